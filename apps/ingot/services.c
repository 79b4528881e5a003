/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and closes what the server and the offline verbs stand on. The services wait for the event
 * loops through app.server, which is NULL while none runs. */
#include "services.h"

#include "api/mlflow_assessments.h"
#include "base/file.h"
#include "base/random.h"
#include "net/http_server.h"
#include "services/deploy/replica_set.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PASSWORD_MAX = 4096 };
static const char BLOBS_FILE[] = "blobs.url";

static void wait_quiescent(void *context)
{
    struct ig_app *app = context;
    struct ig_http_server *server = atomic_load(&app->server);
    if (server) ig_http_server_wait_quiescent(server);
}

enum ig_code ig_services_password(struct ig_buf *out, const char *path, struct ig_err *err)
{
    if (ig_file_read(out, IG_FILE_CWD, path, err) != IG_OK) {
        ig_err_prefix(err, "database_password_file");
        return err->code;
    }
    if (!out->len || strlen(out->ptr) != out->len)
        return ig_fail(err, IG_INVALID, "database_password_file: '%s' %s", path,
                       out->len ? "has a NUL byte" : "is empty");
    out->ptr[strcspn(out->ptr, "\r\n")] = '\0';
    return IG_OK;
}

static enum ig_code open_database(struct ig_services *services,
                                  const struct ig_services_options *options, struct ig_err *err)
{
    struct ig_db_options db = {.dirfd = services->dirfd, .database = options->database};
    const char *password_file = options->password_file;
    struct ig_buf password;
    if (!db.database) {
        db.database = getenv("INGOT_DATABASE");
        password_file = getenv("INGOT_DATABASE_PASSWORD_FILE");
    }
    ig_buf_init(&password, PASSWORD_MAX);
    if (password_file && *password_file &&
        ig_services_password(&password, password_file, err) == IG_OK)
        db.password = password.ptr;
    if (err->code == IG_OK) ig_db_open(&services->app.db, &db, err);
    if (password.ptr) explicit_bzero(password.ptr, password.len);
    ig_buf_deinit(&password);
    return err->code;
}

static enum ig_code open_keys(struct ig_services *services,
                              const struct ig_services_options *options, struct ig_err *err)
{
    struct ig_app *app = &services->app;
    struct stat info;
    if (options->must_exist && stat(options->dir, &info) != 0)
        return ig_fail(err, IG_NOT_FOUND, "--data: there is no directory '%s'", options->dir);
    if (ig_dir_make(&services->dirfd, IG_FILE_CWD, options->dir, err) != IG_OK) return err->code;
    if (open_database(services, options, err) != IG_OK) return err->code;
    ig_random_bytes(app->form_key, sizeof app->form_key);
    struct ig_auth_options auth = {.db = app->db, .wait_quiescent = wait_quiescent, .context = app};
    if (ig_auth_open(&app->auth, &auth, err) != IG_OK) return err->code;
    const struct ig_users_options users = {.db = app->db,
                                           .wait_quiescent = wait_quiescent,
                                           .context = app,
                                           .fallback = options->default_permission};
    return ig_users_open(&app->users, &users, err);
}

/* A directory whose objects are elsewhere says so itself: verbs that run without the server find
 * them, and a server that is started without the setting does not miss all of them in silence. */
static enum ig_code choose_blobs(struct ig_services *services, const char *wanted,
                                 struct ig_err *err)
{
    struct ig_err local = IG_ERR_INIT;
    struct ig_buf kept;
    bool server = wanted != NULL;
    if (!server) wanted = getenv("INGOT_BLOBS");
    if (!wanted) wanted = "";
    ig_buf_init(&kept, sizeof services->blobs - 1);
    if (ig_file_read(&kept, services->dirfd, BLOBS_FILE, &local) != IG_OK &&
        local.code != IG_NOT_FOUND)
        ig_fail(err, local.code, "%s", local.message);
    else if (*wanted)
        snprintf(services->blobs, sizeof services->blobs, "%s", wanted);
    else if (!server && kept.len)
        snprintf(services->blobs, sizeof services->blobs, "%s", kept.ptr);
    else if (kept.len)
        ig_fail(err, IG_CONFLICT,
                "blobs: this directory's objects are in %.300s: set blobs to that, or to files",
                kept.ptr);
    services->blobs_known = kept.len && strcmp(kept.ptr, services->blobs) == 0;
    if (strlen(wanted) >= sizeof services->blobs)
        ig_fail(err, IG_INVALID, "blobs: more than %zu characters", sizeof services->blobs - 1);
    ig_buf_deinit(&kept);
    return err->code;
}

static enum ig_code keep_blobs(struct ig_services *services, struct ig_err *err)
{
    struct ig_str where = ig_str_view(services->blobs);
    if (services->blobs_known) return IG_OK;
    if (!ig_str_starts(where, IG_STR("s3:")))
        return ig_file_remove(services->dirfd, BLOBS_FILE, err);
    return ig_file_replace(services->dirfd, BLOBS_FILE, where, err);
}

static enum ig_code open_blobs(struct ig_services *services,
                               const struct ig_services_options *options, struct ig_err *err)
{
    struct ig_blob_options blobs = {.where = services->blobs,
                                    .cache_bytes = options->blobs_cache_bytes};
    if (choose_blobs(services, options->blobs, err) != IG_OK) return err->code;
    blobs.worked_before = services->blobs_known;
    if (!options->blobs) /* beside no server, but its cache is not this verb's to shrink */
        return ig_blob_open_reader(&services->app.blobs, &blobs, services->dirfd, err);
    if (ig_blob_open(&services->app.blobs, &blobs, services->dirfd, err) != IG_OK) return err->code;
    return keep_blobs(services, err);
}

static enum ig_code open_registry(struct ig_services *services,
                                  const struct ig_services_options *options, struct ig_err *err)
{
    struct ig_app *app = &services->app;
    if (open_blobs(services, options, err) != IG_OK) return err->code;
    if (ig_registry_open(&app->registry, app->db, app->blobs, err) != IG_OK) return err->code;
    if (ig_tracking_open(&app->tracking, app->db, err) != IG_OK ||
        ig_assessments_carry(app->db, ig_mlflow_assessments_parse, err) != IG_OK)
        return err->code;
    if (ig_backgrounds_open(&app->backgrounds, app->db, app->blobs, app->registry, err) != IG_OK)
        return err->code;
    if (ig_reasons_open(&app->reasons, app->db, app->blobs, app->registry, app->backgrounds, err) !=
        IG_OK)
        return err->code;
    if (ig_fleet_open(&app->fleet, app->db, app->blobs, err) != IG_OK) return err->code;
    return ig_records_open(&app->records, app->db, err);
}

static enum ig_code open_gc(struct ig_services *services, const struct ig_services_options *options,
                            struct ig_err *err)
{
    const struct ig_gc_options gc = {.db = services->app.db,
                                     .blobs = services->app.blobs,
                                     .deleted_days = options->retention_deleted_days,
                                     .unused_days = options->retention_unused_days};
    return ig_gc_open(&services->app.gc, &gc, err);
}

static enum ig_code open_all(struct ig_services *services,
                             const struct ig_services_options *options, struct ig_err *err)
{
    struct ig_app *app = &services->app;
    const struct ig_replica_host_options host = {.dirfd = services->dirfd,
                                                 .blobs = services->blobs};
    struct ig_webhooks_options webhooks = options->webhooks;
    webhooks.db = app->db;
    struct ig_gateway_options gateway = options->gateway;
    gateway.db = app->db;
    gateway.tracking = app->tracking;
    gateway.dirfd = services->dirfd;
    if (ig_gateway_open(&app->gateway, &gateway, err) != IG_OK) return err->code;
    if (ig_replica_host_open(&services->replicas, &host, err) != IG_OK) return err->code;
    struct ig_deploy_options deploy = {.models_max_bytes = options->models_bytes,
                                       .dirfd = services->dirfd,
                                       .replicas = services->replicas,
                                       .db = app->db,
                                       .blobs = app->blobs,
                                       .registry = app->registry,
                                       .wait_quiescent = wait_quiescent,
                                       .context = app,
                                       .tables_max_bytes = options->tables_bytes};
    struct ig_jobs_options jobs = {.db = app->db,
                                   .blobs = app->blobs,
                                   .registry = app->registry,
                                   .dirfd = services->dirfd,
                                   .running_max = options->jobs_running,
                                   .keep_days = options->jobs_keep_days};
    struct ig_decision_log_options decisions = {.dirfd = services->dirfd, .rings = options->loops};
    if (ig_explain_cache_new(&app->explain_cache, options->cache_bytes, err) != IG_OK)
        return err->code;
    if (ig_deploy_open(&app->deploy, &deploy, err) != IG_OK) return err->code;
    if (ig_learning_open(&app->learning, services->dirfd, err) != IG_OK) return err->code;
    decisions.observe = ig_learning_observe;
    decisions.context = app->learning;
    if (ig_decision_log_open(&app->decisions, &decisions, err) != IG_OK) return err->code;
    const struct ig_mirror_options mirror = {.log = app->decisions};
    if (ig_mirror_open(&app->mirror, &mirror, err) != IG_OK) return err->code;
    if (ig_traces_open(&app->traces, services->dirfd, err) != IG_OK) return err->code;
    const struct ig_rollouts_options rollouts = {
        .db = app->db, .deploy = app->deploy, .learning = app->learning};
    if (ig_rollouts_open(&app->rollouts, &rollouts, err) != IG_OK) return err->code;
    /* Late, since its thread looks at once for what is due, but before jobs, which have events. */
    if (ig_webhooks_open(&app->webhooks, &webhooks, err) != IG_OK) return err->code;
    ig_registry_attach(app->registry, app->webhooks);
    if (ig_jobs_open(&app->jobs, &jobs, err) != IG_OK) return err->code;
    return open_gc(services, options, err);
}

enum ig_code ig_services_open(struct ig_services *services,
                              const struct ig_services_options *options, struct ig_err *err)
{
    *services = (struct ig_services){.dirfd = -1};
    if (open_keys(services, options, err) != IG_OK) return err->code;
    if (options->depth >= IG_SERVICES_REGISTRY && open_registry(services, options, err) != IG_OK)
        return err->code;
    if (options->depth >= IG_SERVICES_ALL) return open_all(services, options, err);
    if (options->depth == IG_SERVICES_GC) return open_gc(services, options, err);
    return err->code;
}

void ig_services_close(struct ig_services *services)
{
    struct ig_app *app = &services->app;
    ig_gc_close(app->gc);
    ig_jobs_close(app->jobs);
    ig_rollouts_close(app->rollouts);
    ig_traces_close(app->traces);
    ig_mirror_close(app->mirror);
    ig_decision_log_close(app->decisions);
    ig_learning_close(app->learning);
    ig_deploy_close(app->deploy);
    ig_replica_host_close(services->replicas);
    ig_explain_cache_free(app->explain_cache);
    ig_gateway_close(app->gateway);
    ig_webhooks_close(app->webhooks);
    ig_source_pattern_free(app->model_sources);
    ig_records_close(app->records);
    ig_fleet_close(app->fleet);
    ig_reasons_close(app->reasons);
    ig_backgrounds_close(app->backgrounds);
    ig_tracking_close(app->tracking);
    ig_registry_close(app->registry);
    ig_blob_close(app->blobs);
    ig_users_close(app->users);
    ig_auth_close(app->auth);
    ig_db_close(app->db);
    ig_file_close(&services->dirfd);
}
