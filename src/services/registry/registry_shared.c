/* SPDX-License-Identifier: Apache-2.0 */
/* What this registry has to do with MLflow's (services/registered): see registry.h.
 *
 * Thread rule: none of its own; the database's. */
#include "services/registry/registry_priv.h"

#include "services/approval/approval.h"

/* "models:/OLD/3" to the new name, where it is the old one's. */
#define SOURCE_RENAMED                                                                             \
    "'models:/' || cast($2 as text) || substr(source, length('models:/' || cast($1 as text)) + 1)" \
    " where substr(source, 1, length('models:/' || cast($1 as text)) + 1)"                         \
    " = 'models:/' || cast($1 as text) || '/'"

static const struct ig_str NO = {"no: ", 4};

static enum ig_code deployed(struct ig_str model, int64_t version, struct ig_err *err)
{
    return ig_fail(err, IG_CONFLICT, "version %lld of model '%.*s' is deployed", (long long)version,
                   IG_STR_ARGS(model));
}

enum ig_code ig_registry_version_drop(struct ig_db_tx *tx, struct ig_str model, int64_t version,
                                      struct ig_str digest, struct ig_err *err)
{
    struct ig_err local = IG_ERR_INIT;
    enum ig_code code =
        ig_db_exec(tx, "delete from versions where model = $1 and version = $2 and digest = $3",
                   IG_DB_VALUES(IG_DB_T(model), IG_DB_I(version), IG_DB_T(digest)), &local);
    if (code == IG_CONFLICT) return deployed(model, version, err);
    return code == IG_OK ? IG_OK : ig_fail(err, code, "%s", local.message);
}

enum ig_code ig_registry_model_drop(struct ig_db_tx *tx, struct ig_str model, struct ig_err *err)
{
    static const char *const statements[] = {
        ("delete from backgrounds where model = $1"
         " and not exists (select 1 from versions where model = $1)"),
        ("delete from reasons where model = $1"
         " and not exists (select 1 from versions where model = $1)"),
        ("delete from models where name = $1"
         " and not exists (select 1 from versions where model = $1)"),
    };
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        if (ig_db_exec(tx, statements[i], IG_DB_VALUES(IG_DB_T(model)), err) != IG_OK) break;
    return err->code;
}

static bool has_model(struct ig_db_tx *tx, struct ig_str name, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select 1 from models where name = $1", IG_DB_VALUES(IG_DB_T(name)),
                    err) != IG_OK)
        return false;
    bool found = ig_db_next(rows, err);
    ig_db_finish(rows);
    return found;
}

enum ig_code ig_registry_model_rename(struct ig_db_tx *tx, struct ig_str from, struct ig_str to,
                                      struct ig_err *err)
{
    static const char *const statements[] = {
        ("insert into models(name, description, created_ms, last_version)"
         " select cast($2 as text), description, created_ms, last_version from models"
         " where name = $1"),
        "update versions set model = $2 where model = $1",
        "update versions set source = " SOURCE_RENAMED,
        "update fleet_bundles set source = " SOURCE_RENAMED,
        "update backgrounds set model = $2 where model = $1",
        "update reasons set model = $2 where model = $1",
        "delete from models where name = $1 and name <> $2",
    };
    struct ig_err local = IG_ERR_INIT;
    bool there = has_model(tx, from, err);
    if (err->code == IG_OK && has_model(tx, to, err))
        return ig_fail(err, IG_EXISTS, "model '%.*s' exists already", IG_STR_ARGS(to));
    if (err->code == IG_OK)
        ig_db_exec(tx, "update aliases set model = $2 where model = $1",
                   IG_DB_VALUES(IG_DB_T(from), IG_DB_T(to)), err);
    if (err->code == IG_OK) ig_gate_rename(tx, from, to, err);
    if (err->code != IG_OK || !there) return err->code;
    if (ig_name_check(to, "model", err) != IG_OK) return err->code;
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        enum ig_code code =
            ig_db_exec(tx, statements[i], IG_DB_VALUES(IG_DB_T(from), IG_DB_T(to)), &local);
        if (code == IG_CONFLICT)
            return ig_fail(err, IG_CONFLICT, "model '%.*s' has a version that is deployed",
                           IG_STR_ARGS(from));
        if (code != IG_OK) return ig_fail(err, code, "%s", local.message);
    }
    return IG_OK;
}

/* With a version of MLflow's registry as the current row: where it lies, and its tag. */
static enum ig_code unservable(struct ig_db_rows *rows, struct ig_str model, int64_t version,
                               struct ig_err *err)
{
    struct ig_str location = ig_db_text(rows, 0), why = ig_db_text(rows, 1);
    if (ig_str_starts(why, NO))
        return ig_fail(err, IG_UNSUPPORTED, "version %lld of model '%.*s' cannot be served: %.*s",
                       (long long)version, IG_STR_ARGS(model), (int)(why.len - NO.len),
                       why.ptr + NO.len);
    if (ig_str_is(why, "yes"))
        return ig_fail(err, IG_UNSUPPORTED,
                       "version %lld of model '%.*s' cannot be served: its package was deleted; "
                       "register 'models:/%.*s/%lld' again",
                       (long long)version, IG_STR_ARGS(model), IG_STR_ARGS(model),
                       (long long)version);
    if (!ig_str_starts(location, IG_STR("mlflow-artifacts:")))
        return ig_fail(err, IG_UNSUPPORTED,
                       "version %lld of model '%.*s' cannot be served: it lies at '%.*s', not "
                       "among this server's artifacts",
                       (long long)version, IG_STR_ARGS(model), IG_STR_ARGS(location));
    return ig_fail(err, IG_UNSUPPORTED,
                   "version %lld of model '%.*s' cannot be served: no MLmodel lay at '%.*s' when "
                   "it was registered",
                   (long long)version, IG_STR_ARGS(model), IG_STR_ARGS(location));
}

enum ig_code ig_registry_absent(struct ig_db_tx *tx, struct ig_str model, int64_t version,
                                struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx,
                    "select v.location, t.value from registered_models m"
                    " join model_versions v on v.model = m.id left join model_version_tags t"
                    " on t.version = v.id and t.key = 'ingot.servable'"
                    " where m.name = $1 and v.version = $2",
                    IG_DB_VALUES(IG_DB_T(model), IG_DB_I(version)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err)) unservable(rows, model, version, err);
    ig_db_finish(rows);
    if (err->code != IG_OK || ig_registry_model_must_exist(tx, model, err) != IG_OK)
        return err->code;
    return ig_fail(err, IG_NOT_FOUND, "model '%.*s' has no version %lld", IG_STR_ARGS(model),
                   (long long)version);
}
