/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot edge train`. */
#include "run_source.h"
#include "training.h"

#include <math.h>

enum { STAGES_MAX = 8 };

/* What a run logged is a parameter by its registered version. */
static enum ig_code find_model(const char **out, struct ig_training *training, const char *option,
                               struct ig_err *err)
{
    const char *model = ig_cli_text(training->cli, option);
    *out = model;
    if (model && ig_run_source_is(model) &&
        ig_run_source_version(out, training->remote, model, err) != IG_OK)
        ig_err_prefix(err, "--%s", option);
    return err->code;
}

static double stage_number(struct ig_remote *remote, int stage, const char *name)
{
    const char *path = ig_arena_printf(&remote->arena, "metrics.stages.%d.%s", stage, name);
    return ig_json_view_number(ig_remote_body(remote), path, &remote->arena);
}

static void print_number(double value, int digits)
{
    if (isnan(value))
        printf(" %9s", "");
    else
        printf(" %9.*f", digits, value);
}

/* Of the last reply, a job that succeeded. */
static void print_stages(struct ig_remote *remote)
{
    static const char *const METRICS[] = {"accuracy", "auc", "logloss", "rmse", "r2"};
    printf("  %-24s %9s", "stage", "bytes");
    for (size_t i = 0; i < sizeof METRICS / sizeof METRICS[0]; i++) printf(" %9s", METRICS[i]);
    printf(" %9s\n", "sparsity");
    for (int stage = 0; stage < STAGES_MAX; stage++) {
        const char *path = ig_arena_printf(&remote->arena, "metrics.stages.%d.stage", stage);
        struct ig_str name = ig_json_view_text(ig_remote_body(remote), path, &remote->arena);
        if (!name.len) return;
        printf("  %-24.*s", IG_STR_ARGS(name));
        print_number(stage_number(remote, stage, "bytes"), 0);
        for (size_t i = 0; i < sizeof METRICS / sizeof METRICS[0]; i++)
            print_number(stage_number(remote, stage, METRICS[i]), 4);
        print_number(stage_number(remote, stage, "sparsity"), 3);
        putchar('\n');
    }
}

static double estimated(struct ig_remote *remote, const char *name)
{
    const char *path = ig_arena_printf(&remote->arena, "metrics.estimate.%s", name);
    return ig_json_view_number(ig_remote_body(remote), path, &remote->arena);
}

/* Of the last reply; trees have no estimate. */
static void print_estimate(struct ig_remote *remote)
{
    struct ig_str device =
        ig_json_view_text(ig_remote_body(remote), "metrics.estimate.device", &remote->arena);
    double energy = estimated(remote, "energy_microjoule");
    if (!device.len) return;
    printf("  on a device, estimated: %.*s, %.0f bytes of RAM, %.0f of flash, %.0f instructions",
           IG_STR_ARGS(device), estimated(remote, "ram_bytes"), estimated(remote, "flash_bytes"),
           estimated(remote, "instructions"));
    if (!isnan(energy)) printf(" and %.3g uJ", energy);
    printf(" a row\n");
}

static enum ig_code train(struct ig_training *training, struct ig_err *err)
{
    if (find_model(&training->teacher, training, "teacher", err) != IG_OK ||
        find_model(&training->source, training, "source", err) != IG_OK ||
        ig_training_submit(training, err) != IG_OK)
        return err->code;
    if (ig_cli_flag(training->cli, "detach")) {
        printf("%.*s\n", IG_STR_ARGS(training->job_id));
        return IG_OK;
    }
    printf("job %.*s\n", IG_STR_ARGS(training->job_id));
    if (ig_training_watch(training, err) != IG_OK) return err->code;
    print_stages(training->remote);
    print_estimate(training->remote);
    printf("  model    models:/%s/%lld\n", training->model, (long long)training->version);
    return IG_OK;
}

int ig_cmd_edge_train(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    struct ig_training training = {.remote = &remote, .cli = cli, .engine = "edge"};
    if (ig_remote_open(&remote, cli, &err) == IG_OK) train(&training, &err);
    ig_remote_close(&remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}
