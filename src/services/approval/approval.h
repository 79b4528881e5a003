/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_APPROVAL_APPROVAL_H
#define IG_SERVICES_APPROVAL_APPROVAL_H

/* Gates before aliases: a version cannot take an alias that has a gate until the gate's checks have
 * passed for it and enough of the named approvers have agreed. The stages of MLflow's registry have
 * gates as well, under names that no alias has: "stage:staging" and "stage:production".
 *
 * What was found and who agreed is kept with the version's digest, and a check's finding with the
 * rule that it was held against: of another package, or under another rule, it counts as outdated.
 * A version without a package is known by where its files lie. Setting and removing a gate, a
 * finding, an approval and its withdrawal are audited. Moving an alias away from a version and
 * removing it need nothing. Thread-safe; worker threads only; lists live in the caller's arena. */

#include "services/audit/audit.h"

enum {
    IG_GATES_MAX = 100,      /* of one model */
    IG_GATE_CHECKS_MAX = 32, /* of one gate */
    IG_GATE_APPROVERS_MAX = 32,
    IG_GATE_NAME_MAX = 128,
    IG_GATE_TEXT_MAX = 2000, /* bytes of a detail or reason */
};

enum ig_gate_kind {
    IG_GATE_GOLDEN,   /* the package has golden rows and reproduces them */
    IG_GATE_METRIC,   /* a metric of the version's training, or else of its run, within bounds */
    IG_GATE_REPORTED, /* as somebody found elsewhere: fairness, a review */
};
const char *ig_gate_kind_name(enum ig_gate_kind kind); /* "golden" */
enum ig_code ig_gate_kind_parse(enum ig_gate_kind *out, struct ig_str name, struct ig_err *err);

struct ig_gate_check {
    struct ig_str name;
    enum ig_gate_kind kind;
    struct ig_str metric; /* of METRIC */
    bool has_min, has_max;
    double min, max; /* inclusive */
};
enum ig_finding_state {
    IG_FINDING_MISSING,
    IG_FINDING_OUTDATED,
    IG_FINDING_FAILED,
    IG_FINDING_PASSED
};
const char *ig_finding_state_name(enum ig_finding_state state); /* "missing" */
struct ig_finding {                                             /* of a check for a version */
    enum ig_finding_state state;
    struct ig_str detail, by;
    int64_t at_ms;
};
struct ig_approval {
    struct ig_str by, reason;
    int64_t at_ms;
    bool outdated;
};
struct ig_gate {
    struct ig_str alias;
    const struct ig_gate_check *checks;
    size_t checks_count;
    const struct ig_str *approvers; /* names of keys */
    size_t approvers_count;
    int64_t approvals; /* of them that are needed */
    /* Of a version: */
    const struct ig_finding *findings; /* a check each; NULL: of no version */
    const struct ig_approval *given;
    size_t given_count, valid_count; /* approvals, and those that count */
    bool open;
};
struct ig_gates {
    const struct ig_gate *items; /* by alias */
    size_t count;
    struct ig_str digest; /* of the version */
};

/* In place of one of this alias. NOT_FOUND: neither registry has the model. */
enum ig_code ig_gate_set(struct ig_db *db, const struct ig_principal *who, struct ig_str model,
                         const struct ig_gate *gate, struct ig_err *err);
enum ig_code ig_gate_delete(struct ig_db *db, const struct ig_principal *who, struct ig_str model,
                            struct ig_str alias, struct ig_err *err);
/* Of a model; with version > 0 how that version stands before each. */
enum ig_code ig_gate_list(struct ig_gates *out, struct ig_db *db, struct ig_str model,
                          int64_t version, struct ig_arena *arena, struct ig_err *err);

struct ig_gate_subject {
    struct ig_str model;
    int64_t version;
};
struct ig_gate_report {
    struct ig_str check, detail;
    bool passed;
    /* The digest of what was looked at, where it was computed here; ptr NULL: reported. */
    struct ig_str digest;
};
/* INVALID: no gate of the model has a check of this name that is reported (or computed). CONFLICT:
 * what was looked at is not the version any more. */
enum ig_code ig_gate_report(struct ig_db *db, const struct ig_principal *who,
                            struct ig_gate_subject subject, const struct ig_gate_report *report,
                            struct ig_err *err);
/* DENIED unless the gate names this principal. Again: the reason is replaced. */
enum ig_code ig_gate_approve(struct ig_db *db, const struct ig_principal *who,
                             struct ig_gate_subject subject, struct ig_str alias,
                             struct ig_str reason, struct ig_err *err);
/* One's own; NOT_FOUND: there is none. */
enum ig_code ig_gate_withdraw(struct ig_db *db, const struct ig_principal *who,
                              struct ig_gate_subject subject, struct ig_str alias,
                              struct ig_err *err);

/* For the registries, inside their own writes. */
/* CONFLICT names all that is missing. */
enum ig_code ig_gate_require(struct ig_db_tx *tx, struct ig_gate_subject subject,
                             struct ig_str alias, struct ig_err *err);
enum ig_code ig_gate_require_stage(struct ig_db_tx *tx, struct ig_gate_subject subject,
                                   struct ig_str stage, struct ig_err *err); /* "Production" */
enum ig_code ig_gate_rename(struct ig_db_tx *tx, struct ig_str from, struct ig_str to,
                            struct ig_err *err);
/* Unless the other registry still has the model. */
enum ig_code ig_gate_drop(struct ig_db_tx *tx, struct ig_str model, struct ig_err *err);

#endif
