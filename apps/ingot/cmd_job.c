/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot job list|get|cancel|logs`. */
#include "remote.h"

#include <string.h>
#include <time.h>

enum { POLL_MS = 300 };

/* One line of a list, cells at fixed columns. */
static void print_job(struct ig_str job, struct ig_arena *arena)
{
    struct ig_str id = ig_json_view_text(job, "id", arena);
    struct ig_str state = ig_json_view_text(job, "state", arena);
    struct ig_str model = ig_json_view_text(job, "model", arena);
    struct ig_str version = ig_json_view_text(job, "version", arena);
    struct ig_str created = ig_json_view_text(job, "created_at", arena);
    printf("%-26.*s  %-11.*s  %-20.*s  %-7.*s  %.19s\n", IG_STR_ARGS(id), IG_STR_ARGS(state),
           IG_STR_ARGS(model), IG_STR_ARGS(version), created.len >= 19 ? created.ptr : "");
}

static void print_jobs(struct ig_remote *remote)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    if (!ig_json_view_at(&json, ig_remote_body(remote), "jobs", &remote->arena, &err)) return;
    if (ig_json_next(&json) != IG_JSON_ARRAY) return;
    printf("%-26s  %-11s  %-20s  %-7s  %s\n", "id", "state", "model", "version", "created (UTC)");
    while (ig_json_element(&json)) {
        const char *start = json.at;
        if (!ig_json_skip(&json)) return;
        struct ig_str job = {start, (size_t)(json.at - start)};
        while (job.len && (*job.ptr == ',' || *job.ptr == ' ')) {
            job.ptr++;
            job.len--;
        }
        print_job(job, &remote->arena);
    }
}

int ig_cmd_job_list(const struct ig_cli *cli)
{
    char path[64];
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    snprintf(path, sizeof path, "/api/v1/jobs?limit=%llu",
             (unsigned long long)ig_cli_count(cli, "limit"));
    if (strcmp(ig_cli_text(cli, "format"), "json") == 0) return ig_remote_show(cli, "GET", path);
    if (ig_remote_open(&remote, cli, &err) == IG_OK &&
        ig_remote_call(&remote, "GET", path, IG_STR(""), &err) == IG_OK)
        print_jobs(&remote);
    ig_remote_close(&remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}

static int show_job(const struct ig_cli *cli, const char *method, const char *rest)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    if (ig_remote_open(&remote, cli, &err) == IG_OK &&
        ig_remote_call(&remote, method,
                       ig_remote_path(&remote, "/api/v1/jobs/", cli->operands[0], rest), IG_STR(""),
                       &err) == IG_OK)
        ig_json_view_print(stdout, ig_remote_body(&remote));
    ig_remote_close(&remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}

int ig_cmd_job_get(const struct ig_cli *cli)
{
    return show_job(cli, "GET", "");
}

int ig_cmd_job_cancel(const struct ig_cli *cli)
{
    return show_job(cli, "POST", "/cancel");
}

/* All there is from *offset on; true when something came. */
static bool print_piece(struct ig_remote *remote, const char *id, uint64_t *offset,
                        struct ig_err *err)
{
    char rest[64];
    snprintf(rest, sizeof rest, "/logs?offset=%llu", (unsigned long long)*offset);
    if (ig_remote_call(remote, "GET", ig_remote_path(remote, "/api/v1/jobs/", id, rest), IG_STR(""),
                       err) != IG_OK)
        return false;
    struct ig_str piece = ig_remote_body(remote);
    fwrite(piece.ptr, 1, piece.len, stdout);
    fflush(stdout);
    *offset += piece.len;
    return piece.len > 0;
}

static bool is_running(struct ig_remote *remote, const char *id, struct ig_err *err)
{
    const char *path = ig_remote_path(remote, "/api/v1/jobs/", id, "");
    if (ig_remote_call(remote, "GET", path, IG_STR(""), err) != IG_OK) return false;
    struct ig_str state = ig_json_view_text(ig_remote_body(remote), "state", &remote->arena);
    return ig_str_is(state, "queued") || ig_str_is(state, "running");
}

int ig_cmd_job_logs(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    const char *id = cli->operands[0];
    uint64_t offset = 0;
    if (ig_remote_open(&remote, cli, &err) == IG_OK) {
        bool running = ig_cli_flag(cli, "follow");
        do {
            running = running && is_running(&remote, id, &err);
            while (err.code == IG_OK && print_piece(&remote, id, &offset, &err)) continue;
            ig_arena_reset(&remote.arena);
            if (running) nanosleep(&(struct timespec){0, POLL_MS * 1000000L}, NULL);
        } while (running && err.code == IG_OK);
    }
    ig_remote_close(&remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}
