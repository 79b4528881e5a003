/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot train`. */
#include "training.h"

static enum ig_code train(struct ig_training *training, struct ig_err *err)
{
    if (ig_training_submit(training, err) != IG_OK) return err->code;
    if (ig_cli_flag(training->cli, "detach")) {
        printf("%.*s\n", IG_STR_ARGS(training->job_id));
        return IG_OK;
    }
    printf("job %.*s\n", IG_STR_ARGS(training->job_id));
    if (ig_training_watch(training, err) != IG_OK) return err->code;
    ig_training_print_metrics(training->remote, "metrics");
    printf("  model    models:/%s/%lld\n", training->model, (long long)training->version);
    return IG_OK;
}

int ig_cmd_train(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    struct ig_training training = {.remote = &remote, .cli = cli};
    if (ig_remote_open(&remote, cli, &err) == IG_OK) train(&training, &err);
    ig_remote_close(&remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}
