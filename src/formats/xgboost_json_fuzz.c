/* SPDX-License-Identifier: Apache-2.0 */
#define LOAD ig_xgboost_json_load
#include "formats/load_fuzzing.h"
