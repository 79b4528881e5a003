/* SPDX-License-Identifier: Apache-2.0 */
#define LOAD ig_xgboost_ubjson_load
#include "formats/load_fuzzing.h"
