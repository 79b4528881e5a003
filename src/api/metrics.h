/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_METRICS_H
#define IG_API_METRICS_H

/* Counters by loop: each is written by its own loop only, and all are summed when scraped. */

#include "api/call.h"

struct ig_metrics;

enum ig_code ig_metrics_new(struct ig_metrics **out, unsigned loops, struct ig_err *err);
void ig_metrics_free(struct ig_metrics *metrics); /* NULL is allowed */

/* On the loop, at the end of an exchange. `rows`: rows predicted. */
void ig_metrics_count(struct ig_metrics *metrics, const struct ig_call *call, uint64_t duration_ns,
                      uint64_t rows);
/* A number that no other call of this server got. On the loop. */
uint64_t ig_metrics_ticket(struct ig_metrics *metrics, unsigned loop);
/* The Prometheus text. Worker threads (it asks the database). `arena` for the while. */
void ig_metrics_scrape(struct ig_buf *buf, struct ig_app *app, struct ig_arena *arena);

/* Counters by deployment (metrics_models.c), as a part of the scrape. */
void ig_metrics_models(struct ig_buf *buf, struct ig_app *app);

#endif
