/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_OWNERS_H
#define IG_SERVICES_TRACKING_OWNERS_H

/* Which experiment something belongs to. Worker threads only. */

#include "stores/db.h"

enum ig_tracking_owned { IG_TRACKING_OWNED_RUN, IG_TRACKING_OWNED_MODEL, IG_TRACKING_OWNED_TRACE };

/* Deleted ones too. NOT_FOUND in the words of those that read them. */
enum ig_code ig_tracking_owner(int64_t *experiment, struct ig_db *db, enum ig_tracking_owned kind,
                               struct ig_str id, struct ig_err *err);
/* Of an experiment's name. */
enum ig_code ig_tracking_owner_named(int64_t *experiment, struct ig_db *db, struct ig_str name,
                                     struct ig_err *err);

#endif
