/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_CITY_H
#define IG_BASE_CITY_H

/* CityHash64, version 1.0: the hash by which CatBoost knows a category. Not keyed, so never for
 * tables of ours. Thread-safe. */

#include "base/str.h"

uint64_t ig_city_hash64(struct ig_str text);

#endif
