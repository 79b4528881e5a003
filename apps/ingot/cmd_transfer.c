/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot import mlflow` and `ingot export mlflow`: between the running server and another one that
 * speaks MLflow's REST, or an mlruns folder. The counts of both sides are printed and compared. */
#include "remote.h"
#include "transfer.h"

#include "base/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct other {
    struct ig_client *client;
    struct ig_transfer_side *side;
    char headers[512];
};

/* As MLflow's clients: MLFLOW_TRACKING_TOKEN. */
static enum ig_code open_other(struct other *other, const struct ig_cli *cli, const char *place,
                               bool write, struct ig_err *err)
{
    const char *token = getenv("MLFLOW_TRACKING_TOKEN");
    struct ig_str text = ig_str_view(place);
    if (ig_str_starts(text, IG_STR("file://"))) place += 7;
    if (!ig_str_starts(text, IG_STR("http://")) && !ig_str_starts(text, IG_STR("https://")))
        return ig_transfer_folder_open(&other->side, place, write, err);
    if (token && (size_t)snprintf(other->headers, sizeof other->headers,
                                  "Authorization: Bearer %s\r\n", token) >= sizeof other->headers)
        return ig_fail(err, IG_INVALID, "MLFLOW_TRACKING_TOKEN: more than 400 characters");
    const char *ca = ig_cli_text(cli, "ca");
    const struct ig_client_options options = {.headers = token ? other->headers : NULL,
                                              .io_timeout_ms = 10 * 60 * 1000,
                                              .ca_file = ca ? ca : getenv("INGOT_CA")};
    if (ig_client_new(&other->client, place, &options, err) != IG_OK) return err->code;
    return ig_transfer_rest_open(&other->side, other->client, err);
}

static void close_other(struct other *other)
{
    ig_transfer_close(other->side);
    if (other->client) ig_client_free(other->client);
}

static void note(const struct ig_transfer_result *result)
{
    static uint64_t last_ns;
    uint64_t now_ns = ig_clock_ns();
    if (!isatty(STDERR_FILENO) || now_ns - last_ns < 200000000) return;
    last_ns = now_ns;
    fprintf(stderr, "\r%lld runs, %lld metric values, %lld files", (long long)result->from.runs,
            (long long)result->from.metrics, (long long)result->from.files);
    fflush(stderr);
}

/* True when both sides have the same. */
static bool print(const struct ig_cli *cli, const struct ig_transfer_result *result)
{
    const struct ig_transfer_counts *from = &result->from, *to = &result->to;
    const struct {
        const char *name, *words;
        int64_t from, to;
    } lines[] = {{"experiments", "experiments", from->experiments, to->experiments},
                 {"runs", "runs", from->runs, to->runs},
                 {"params", "parameters", from->params, to->params},
                 {"tags", "tags", from->tags, to->tags},
                 {"metrics", "metric values", from->metrics, to->metrics},
                 {"logged_models", "logged models", from->loggeds, to->loggeds},
                 {"artifacts", "artifacts", from->files, to->files},
                 {"bytes", "bytes of artifacts", from->bytes, to->bytes},
                 {"registered_models", "registered models", from->models, to->models},
                 {"versions", "versions", from->versions, to->versions}};
    bool json = strcmp(ig_cli_text(cli, "format"), "json") == 0, same = true;
    if (isatty(STDERR_FILENO)) fprintf(stderr, "\r\033[K");
    printf(json ? "{" : "%12s %12s\n", "read", "copied");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        same = same && lines[i].from == lines[i].to;
        if (json)
            printf("\"%s\": [%lld, %lld], ", lines[i].name, (long long)lines[i].from,
                   (long long)lines[i].to);
        else
            printf("%12lld %12lld  %s%s\n", (long long)lines[i].from, (long long)lines[i].to,
                   lines[i].words, lines[i].from == lines[i].to ? "" : "  <- differs");
    }
    if (json)
        printf("\"there_already\": %lld}\n", (long long)result->skipped);
    else if (result->skipped)
        printf("%12lld runs were there already\n", (long long)result->skipped);
    return same;
}

static int transfer(const struct ig_cli *cli, const char *place, bool into)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    struct other other = {.side = NULL};
    struct ig_transfer_side *own = NULL;
    struct ig_transfer_result result = {0};
    bool same = true, begun = false;
    if (ig_remote_open(&remote, cli, &err) == IG_OK &&
        ig_transfer_rest_open(&own, remote.client, &err) == IG_OK &&
        open_other(&other, cli, place, !into, &err) == IG_OK) {
        begun = true;
        ig_transfer_copy(&result, into ? other.side : own, into ? own : other.side, note, &err);
    }
    if (begun) same = print(cli, &result);
    close_other(&other);
    ig_transfer_close(own);
    ig_remote_close(&remote);
    if (err.code != IG_OK)
        return ig_cli_fail(cli, &err,
                           begun ? "the same command goes on where this one ended"
                                 : ig_remote_hint(&err));
    if (!same) {
        fprintf(stderr, "ingot %s: the counts differ; the same command copies what is missing\n",
                cli->command->verb);
        return IG_EXIT_FAILURE;
    }
    return ig_cli_flush(cli, stdout) ? IG_EXIT_OK : IG_EXIT_FAILURE;
}

int ig_cmd_import_mlflow(const struct ig_cli *cli)
{
    return transfer(cli, ig_cli_text(cli, "from"), true);
}

int ig_cmd_export_mlflow(const struct ig_cli *cli)
{
    return transfer(cli, ig_cli_text(cli, "to"), false);
}
