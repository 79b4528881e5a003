/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot server`. Order of start: services (deployments loaded), then the listening socket, then
 * the line that says so. Order of end: readiness off, requests in flight finished, services closed.
 * Signals are taken on the main thread; every other thread has them blocked. Between them it looks
 * whether the TLS files have changed, so that no loop reads files. */
#include "services.h"
#include "settings.h"

#include "api/front.h"
#include "api/gather.h"
#include "api/infer_grpc.h"
#include "api/metrics.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "kernels/ort/ort.h"
#include "net/tls.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    NAMES_MAX = 64,
    LOOPS_MAX = 8,
    WEBHOOK_TIMEOUT_MAX_S = 600,
    GATEWAY_TIMEOUT_MAX_S = 3600,
    GATEWAY_CALLS_MAX = 30, /* of 32 stream workers */
    WEBHOOK_RETRIES_MAX = 20,
    KEEP_DAYS_MAX = 1 << 20,
    CALL_BYTES = 512 << 20,
    TLS_LOOK_S = 5,
    GATHER_GAIN_NS = 1000,
    PREPARE_NS = 100000000
};

struct server {
    const struct ig_cli *cli;
    struct ig_settings settings;
    struct ig_services services;
    struct ig_http_server *http;
    struct ig_tls *tls; /* or NULL */
    char host[256];
    uint16_t port, ports[IG_HTTP_PORTS_MAX];
    unsigned ports_count;
    struct ig_str hosts[NAMES_MAX + 1];
    struct ig_str origins[NAMES_MAX];
    sigset_t signals;
    struct ig_grpc_service grpc[IG_GRPC_SERVICES];
};

static enum ig_code parse_listen(struct server *server, struct ig_err *err)
{
    struct ig_str text = ig_str_view(server->settings.listen);
    size_t colon = text.len;
    uint64_t port;
    while (colon && text.ptr[colon - 1] != ':') colon--;
    struct ig_str host = {text.ptr, colon ? colon - 1 : 0};
    struct ig_str digits = {text.ptr + colon, text.len - colon};
    if (host.len > 1 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = (struct ig_str){host.ptr + 1, host.len - 2};
    if (!host.len || host.len >= sizeof server->host || !ig_str_to_u64(digits, &port) ||
        port > UINT16_MAX)
        return ig_fail(err, IG_INVALID, "--listen: '%s' is not HOST:PORT", server->settings.listen);
    snprintf(server->host, sizeof server->host, "%.*s", IG_STR_ARGS(host));
    server->port = (uint16_t)port;
    return IG_OK;
}

static enum ig_code parse_ports(struct server *server, struct ig_err *err)
{
    struct ig_str rest = ig_str_view(server->settings.ports);
    while (rest.len) {
        struct ig_str text = ig_str_trim(ig_str_cut(&rest, ','));
        uint64_t port;
        if (!ig_str_to_u64(text, &port) || !port || port > UINT16_MAX)
            return ig_fail(err, IG_INVALID, "ports: '%.*s' is not a port from 1 to 65535",
                           IG_STR_ARGS(text));
        if (server->ports_count == IG_HTTP_PORTS_MAX - 1)
            return ig_fail(err, IG_INVALID, "ports: more than %d", IG_HTTP_PORTS_MAX - 1);
        server->ports[server->ports_count++] = (uint16_t)port;
    }
    return IG_OK;
}

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

/* The network is closed until there are keys, and TLS, here or in front. */
static enum ig_code check_exposure(const struct server *server, struct ig_err *err)
{
    if (is_loopback(server->host)) return IG_OK;
    if (!ig_auth_keys_exist(server->services.app.auth) &&
        !ig_users_exist(server->services.app.users))
        return ig_fail(err, IG_DENIED,
                       "--listen: '%s' is not a loopback address and there are no API keys; make "
                       "one first: ingot key create NAME --scope admin --data %s",
                       server->host, server->settings.data);
    if (!server->tls && !server->settings.insecure_network)
        return ig_fail(err, IG_DENIED,
                       "--listen: '%s' is not a loopback address and there is no TLS; set "
                       "tls_certificate and tls_key, or, behind a proxy that speaks TLS, "
                       "insecure_network=true",
                       server->host);
    return IG_OK;
}

static enum ig_code open_tls(struct server *server, struct ig_err *err)
{
    const char *certificate = server->settings.tls_certificate, *key = server->settings.tls_key;
    if (!*certificate && !*key) return IG_OK;
    if (!*certificate || !*key)
        return ig_fail(err, IG_INVALID, "%s: expected with %s, which is not set",
                       *key ? "tls_key" : "tls_certificate", *key ? "tls_certificate" : "tls_key");
    if (ig_tls_new(&server->tls, certificate, key, err) != IG_OK)
        ig_err_prefix(err, "tls_certificate, tls_key");
    return err->code;
}

static size_t cut_names(struct ig_str *names, const char *list)
{
    size_t count = 0;
    struct ig_str rest = ig_str_view(list);
    while (rest.len && count < NAMES_MAX) {
        struct ig_str name = ig_str_trim(ig_str_cut(&rest, ','));
        if (name.len) names[count++] = name;
    }
    return count;
}

static unsigned loops_of(const struct server *server)
{
    unsigned loops = server->settings.loops ? (unsigned)server->settings.loops : ig_cpu_count();
    return loops > LOOPS_MAX ? LOOPS_MAX : loops;
}

static unsigned keep_days(const struct ig_settings *settings)
{
    return settings->jobs_keep_days > KEEP_DAYS_MAX ? KEEP_DAYS_MAX
                                                    : (unsigned)settings->jobs_keep_days;
}

static struct ig_webhooks_options webhooks_of(const struct ig_settings *settings)
{
    uint64_t timeout = settings->webhook_timeout_s, retries = settings->webhook_retries;
    if (timeout > WEBHOOK_TIMEOUT_MAX_S) timeout = WEBHOOK_TIMEOUT_MAX_S;
    if (retries > WEBHOOK_RETRIES_MAX) retries = WEBHOOK_RETRIES_MAX;
    return (struct ig_webhooks_options){.http_allowed = settings->webhook_http,
                                        .private_allowed = settings->webhook_private,
                                        .ca_file = settings->webhook_ca,
                                        .timeout_ms = (unsigned)timeout * 1000,
                                        .retries = (unsigned)retries};
}

static struct ig_gateway_options gateway_of(const struct ig_settings *settings)
{
    uint64_t timeout = settings->gateway_timeout_s, calls = settings->gateway_calls;
    if (timeout > GATEWAY_TIMEOUT_MAX_S) timeout = GATEWAY_TIMEOUT_MAX_S;
    if (calls > GATEWAY_CALLS_MAX) calls = GATEWAY_CALLS_MAX;
    return (struct ig_gateway_options){.passphrase_file = settings->secrets_passphrase_file,
                                       .http_allowed = settings->gateway_http,
                                       .private_allowed = settings->gateway_private,
                                       .ca_file = settings->gateway_ca,
                                       .timeout_ms = (unsigned)timeout * 1000,
                                       .calls_max = (unsigned)calls};
}

static enum ig_code open_regions(struct server *server, struct ig_err *err)
{
    struct ig_str wanted = ig_str_view(server->settings.shared_memory);
    bool automatic = ig_str_is(wanted, "auto"), off = ig_str_is(wanted, "off");
    if (!automatic && !off && !ig_str_is(wanted, "on"))
        return ig_fail(err, IG_INVALID, "shared_memory: '%s' is not on, off or auto",
                       server->settings.shared_memory);
    if (off || (automatic && !is_loopback(server->host))) return IG_OK;
    return ig_regions_new(&server->services.app.regions, err);
}

/* For this process, and by the environment for those that it starts. */
static enum ig_code choose_onnx_engine(const struct ig_settings *settings, struct ig_err *err)
{
    setenv("INGOT_ONNX_ENGINE", settings->onnx_engine, 1);
    setenv("INGOT_ONNXRUNTIME_LIBRARY", settings->onnxruntime_library, 1);
    return ig_ort_setup(settings->onnx_engine, settings->onnxruntime_library, err);
}

static enum ig_code limit_sources(struct server *server, struct ig_err *err)
{
    const char *pattern = server->settings.model_source_pattern;
    if (!*pattern) return IG_OK;
    if (ig_source_pattern_new(&server->services.app.model_sources, pattern, err) != IG_OK)
        ig_err_prefix(err, "model_source_pattern");
    return err->code;
}

static enum ig_code open_services(struct server *server, struct ig_err *err)
{
    const struct ig_settings *settings = &server->settings;
    struct ig_services_options options = {
        .dir = settings->data,
        .database = settings->database,
        .password_file = settings->database_password_file,
        .depth = IG_SERVICES_ALL,
        .loops = loops_of(server),
        .cache_bytes = (size_t)settings->explanation_cache_mb << 20,
        .models_bytes = (size_t)settings->models_memory_mb << 20,
        .tables_bytes = (size_t)settings->explanation_tables_mb << 20,
        .jobs_running = (unsigned)settings->jobs_running,
        .jobs_keep_days = keep_days(settings),
        .retention_deleted_days = settings->retention_deleted_days,
        .retention_unused_days = settings->retention_unused_days,
        .blobs = settings->blobs,
        .blobs_cache_bytes = (size_t)settings->blobs_cache_mb << 20,
        .gateway = gateway_of(settings),
        .webhooks = webhooks_of(settings)};
    struct ig_app *app = &server->services.app;
    if (ig_permission_parse(&options.default_permission, ig_str_view(settings->default_permission),
                            err) != IG_OK) {
        ig_err_prefix(err, "default_permission");
        return err->code;
    }
    if (choose_onnx_engine(settings, err) != IG_OK) return err->code;
    if (ig_services_open(&server->services, &options, err) != IG_OK) return err->code;
    app->hosts = server->hosts;
    app->hosts_count = cut_names(server->hosts, settings->hosts);
    app->origins = server->origins;
    app->origins_count = cut_names(server->origins, settings->origins);
    app->tls = server->tls != NULL;
    app->blob_max_bytes = settings->blob_max_mb << 20;
    app->inline_max_ns = settings->inline_us * 1000;
    app->cache_min_ns = settings->explanation_cache_us * 1000;
    app->rows_max = settings->rows_max;
    app->started_ms = ig_clock_unix_ms();
    if (limit_sources(server, err) != IG_OK || open_regions(server, err) != IG_OK) return err->code;
    if (ig_metrics_new(&app->metrics, loops_of(server), err) != IG_OK ||
        ig_gather_new(&app->gather, loops_of(server), GATHER_GAIN_NS, err) != IG_OK)
        return err->code;
    return ig_router_new(&app->router, err);
}

static enum ig_code start(struct server *server, struct ig_err *err)
{
    const struct ig_settings *settings = &server->settings;
    struct ig_http_server_options options = {
        .host = server->host,
        .port = server->port,
        .more_ports = server->ports,
        .more_ports_count = server->ports_count,
        .loops = loops_of(server),
        .workers = (unsigned)settings->workers,
        .connections_max = (unsigned)settings->connections_max,
        .idle_timeout_ms = (unsigned)(settings->idle_timeout_s * 1000),
        .call_timeout_ms = (unsigned)(settings->call_timeout_s * 1000),
        .arena_max_bytes = CALL_BYTES,
        .reply_max_bytes = CALL_BYTES,
        .tls = server->tls,
        .extra_headers = IG_FRONT_HEADERS,
        .handler = ig_front_handler(&server->services.app),
        .grpc = server->grpc,
        .grpc_count = IG_GRPC_SERVICES,
    };
    ig_grpc_services(server->grpc, &server->services.app);
    if (check_exposure(server, err) != IG_OK) return err->code;
    if (ig_http_server_start(&server->http, &options, err) != IG_OK) {
        ig_err_prefix(err, "--listen: %s", settings->listen);
        return err->code;
    }
    atomic_store(&server->services.app.server, server->http);
    ig_deploy_warm(server->services.app.deploy);
    return IG_OK;
}

static void announce(const struct server *server)
{
    bool v6 = strchr(server->host, ':') != NULL;
    printf("listening on %s://%s%s%s:%u\n", server->tls ? "https" : "http", v6 ? "[" : "",
           server->host, v6 ? "]" : "", ig_http_server_port(server->http));
    fflush(stdout);
}

static void refresh_tls(struct server *server, bool force)
{
    struct ig_err err = IG_ERR_INIT;
    enum ig_tls_news news = ig_tls_refresh(server->tls, force, &err);
    if (news == IG_TLS_RENEWED)
        ig_log(IG_LOG_INFO, "tls_renewed", IG_LOG_C("file", server->settings.tls_certificate));
    if (news == IG_TLS_KEPT) ig_log_err(IG_LOG_WARN, "tls_kept_the_old_certificate", &err);
}

/* The first hash loads what it needs: better now than within a request. */
static void prepare_hashes(void)
{
    unsigned char digest[IG_SHA256_BYTES];
    ig_sha256("", 0, digest);
}

/* SIGHUP is among the signals only with TLS. What may come behind the start comes when that has
 * answered those who waited for it. */
static int wait_for_end(struct server *server)
{
    const struct timespec soon = {.tv_nsec = PREPARE_NS}, look = {.tv_sec = TLS_LOOK_S};
    const struct timespec *wait = &soon;
    for (;;) {
        int number = sigtimedwait(&server->signals, NULL, wait);
        if (number == SIGINT || number == SIGTERM) return number;
        if (wait == &soon) prepare_hashes();
        if (server->tls) refresh_tls(server, number == SIGHUP);
        wait = server->tls ? &look : NULL;
    }
}

static void serve_until_signal(struct server *server)
{
    ig_mem_keep(); /* not before: a start frees what it needs no more */
    announce(server);
    int signal_number = wait_for_end(server);
    ig_log(IG_LOG_INFO, "shutting down", IG_LOG_I("signal", signal_number));
    atomic_store(&server->services.app.draining, true);
    unsigned cut = ig_http_server_stop(server->http, (unsigned)(server->settings.drain_s * 1000));
    if (cut) ig_log(IG_LOG_WARN, "requests cut at shutdown", IG_LOG_I("count", cut));
}

static enum ig_code setup_log(const struct ig_settings *settings, struct ig_err *err)
{
    enum ig_log_level level;
    bool json = strcmp(settings->log_format, "json") == 0;
    if (!ig_log_level_parse(ig_str_view(settings->log_level), &level))
        return ig_fail(err, IG_INVALID, "log_level: '%s' is not debug, info, warn or error",
                       settings->log_level);
    if (!json && strcmp(settings->log_format, "text") != 0)
        return ig_fail(err, IG_INVALID, "log_format: '%s' is neither text nor json",
                       settings->log_format);
    ig_log_setup(level, json);
    return IG_OK;
}

static void run(struct server *server, struct ig_err *err)
{
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&server->signals);
    sigaddset(&server->signals, SIGINT);
    sigaddset(&server->signals, SIGTERM);
    if (*server->settings.tls_certificate) sigaddset(&server->signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &server->signals, NULL);
    if (setup_log(&server->settings, err) != IG_OK || parse_listen(server, err) != IG_OK ||
        parse_ports(server, err) != IG_OK)
        return;
    if (open_tls(server, err) != IG_OK) return;
    if (open_services(server, err) == IG_OK && start(server, err) == IG_OK)
        serve_until_signal(server);
    ig_router_free(server->services.app.router);
    ig_metrics_free(server->services.app.metrics);
    ig_gather_free(server->services.app.gather);
    ig_regions_free(server->services.app.regions);
    ig_services_close(&server->services); /* its threads may still wait for quiescence */
    ig_http_server_free(server->http);
    ig_tls_free(server->tls);
}

int ig_cmd_server(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct server *server = ig_zalloc(sizeof *server);
    if (!server) return IG_EXIT_FAILURE;
    server->cli = cli;
    server->services.dirfd = -1;
    if (ig_settings_load(&server->settings, cli, &err) == IG_OK) {
        unsetenv("INGOT_DATABASE"); /* children need no password */
        if (ig_cli_flag(cli, "settings"))
            ig_settings_print(&server->settings);
        else
            run(server, &err);
    }
    int code = err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, NULL);
    ig_settings_deinit(&server->settings);
    ig_free(server);
    return code;
}
