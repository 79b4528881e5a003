/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_APPROVAL_REPORT_H
#define IG_SERVICES_APPROVAL_REPORT_H

/* Reports that people keep with a version, for its card and for whoever asks later: what POST
 * /api/v1/fairness or /api/v1/importance answered, or `ingot fairness|importance --format json`
 * printed. The text is kept as it came, with the version's digest: of another package it counts as
 * outdated. Keeping and deleting are audited. Thread-safe; worker threads only. */

#include "services/approval/approval.h"

enum {
    IG_REPORT_MAX_BYTES = 1 << 20,
    IG_REPORT_COLUMNS_MAX = 32,  /* protected ones that are looked at */
    IG_REPORT_FEATURES_MAX = 20, /* the first ones; a report has them by falling importance */
};

enum ig_report_kind { IG_REPORT_FAIRNESS, IG_REPORT_IMPORTANCE, IG_REPORT_KINDS_COUNT };
const char *ig_report_kind_name(enum ig_report_kind kind); /* "fairness" */
enum ig_code ig_report_kind_parse(enum ig_report_kind *out, struct ig_str name, struct ig_err *err);

struct ig_report_rate {
    bool known;
    double value, low, high; /* 95% interval; NaN where there is none */
};
struct ig_report_column {
    struct ig_str name, most, least;    /* groups of the greatest and least selection rate */
    struct ig_str four_fifths;          /* "pass", "fail", "open", "unknown" */
    struct ig_report_rate parity, odds; /* differences */
};
struct ig_report_feature {
    struct ig_str name;
    struct ig_report_rate importance;
};
/* What a card says of it. */
struct ig_report_summary {
    int64_t rows;                 /* of the table; 0: none is told */
    struct ig_str positive, kind; /* of fairness; of importance */
    const struct ig_report_column *columns;
    size_t columns_count;
    const struct ig_report_feature *features;
    size_t features_count;
};
/* In the arena. INVALID names the member; what is not needed is passed over. */
enum ig_code ig_report_summarize(struct ig_report_summary *out, enum ig_report_kind kind,
                                 struct ig_str json, struct ig_arena *arena, struct ig_err *err);

struct ig_report {
    struct ig_str json, by;
    int64_t at_ms;
    bool outdated;
};
/* In place of one of this kind. NOT_FOUND: neither registry has the version; INVALID: it is no such
 * report; TOO_LARGE. */
enum ig_code ig_report_keep(struct ig_db *db, const struct ig_principal *who,
                            struct ig_gate_subject subject, enum ig_report_kind kind,
                            struct ig_str json, struct ig_err *err);
/* NOT_FOUND. */
enum ig_code ig_report_get(struct ig_report *out, struct ig_db *db, struct ig_gate_subject subject,
                           enum ig_report_kind kind, struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_report_delete(struct ig_db *db, const struct ig_principal *who,
                              struct ig_gate_subject subject, enum ig_report_kind kind,
                              struct ig_err *err);

#endif
