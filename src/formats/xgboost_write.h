/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_XGBOOST_WRITE_H
#define IG_FORMATS_XGBOOST_WRITE_H

/* Tree models as XGBoost's JSON, which libxgboost since 1.6 and Ingot read. */

#include "base/err.h"
#include "base/str.h"
#include "model/model.h"

/* Appends the file to `out`. Decisions are the model's own for every finite float; margins are its
 * own but for the roundings of XGBoost's float sums, none where the model is XGBoost's. UNSUPPORTED
 * names what XGBoost cannot say: zeros that count as missing, transforms of no objective of its
 * own, linear leaves. */
enum ig_code ig_xgboost_write(struct ig_buf *out, const struct ig_model *model, struct ig_err *err);

#endif
