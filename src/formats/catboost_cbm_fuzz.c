/* SPDX-License-Identifier: Apache-2.0 */
#define LOAD ig_catboost_cbm_load
#include "formats/load_fuzzing.h"
