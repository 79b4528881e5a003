/* SPDX-License-Identifier: Apache-2.0 */
#define LOAD ig_pmml_load
#include "formats/load_fuzzing.h"
