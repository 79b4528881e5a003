/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_TRAINING_H
#define IG_APP_TRAINING_H

/* A training job seen from the command line: upload, submit, watch, report. */

#include "remote.h"

struct ig_training {
    struct ig_remote *remote;
    const struct ig_cli *cli;     /* its --data, --target, --drop, --name, --param */
    const char *engine;           /* NULL: the server's usual one */
    const char *teacher, *source; /* of edge: registered models that are parameters too; or NULL */
    char model[129];              /* --name, or made from the file's name */
    struct ig_str job_id;
    int64_t version; /* of a success */
};

/* Uploads the table and submits the job. */
enum ig_code ig_training_submit(struct ig_training *training, struct ig_err *err);
/* Waits for the end with a progress bar on a terminal. A job that does not succeed is an error with
 * the job's own sentence; the last reply is then the job. */
enum ig_code ig_training_watch(struct ig_training *training, struct ig_err *err);
/* "metrics: accuracy 0.95, ..." of the last reply's object at `path`. */
void ig_training_print_metrics(const struct ig_remote *remote, const char *path);
/* A file's name without folders and endings, made fit for a model name. */
void ig_training_name(char name[129], const char *file);

#endif
