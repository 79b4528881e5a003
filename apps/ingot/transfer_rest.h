/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_TRANSFER_REST_H
#define IG_APP_TRANSFER_REST_H

/* Shared by the two files of a server as one side: transfer_rest.c calls and reads,
 * transfer_rest_write.c writes. */

#include "transfer.h"

#include "base/json.h"
#include "net/client.h"

#define API "/api/2.0/mlflow/"
enum { TRIES = 5 };

struct rest {
    struct ig_transfer_side side;
    struct ig_client *client;
    struct ig_client_reply reply;
    struct ig_buf path, body;
    struct ig_json_out out;
};

enum ig_code rest_call(struct rest *rest, struct ig_client_call *call, bool again,
                       struct ig_err *err);
bool rest_is_passing(enum ig_code code, int status);
struct ig_json_out *rest_body(struct rest *rest);
enum ig_code rest_send(struct rest *rest, const char *method, const char *path, bool again,
                       struct ig_err *err);
void rest_add_pairs(struct ig_json_out *out, const char *name, struct ig_tracking_pairs pairs);
void rest_reply(struct ig_json *json, struct rest *rest, struct ig_arena *arena,
                struct ig_err *err);
bool rest_enter(struct ig_json *json);
/* Runs of an experiment; token NULL: one page. */
struct rest_query {
    struct ig_str experiment, filter;
    struct ig_buf *token;
};
enum ig_code rest_search_runs(struct ig_transfer_runs *out, struct rest *rest,
                              const struct rest_query *query, struct ig_arena *arena,
                              struct ig_err *err);
enum ig_code rest_search_loggeds(struct ig_transfer_loggeds *out, struct rest *rest,
                                 struct ig_str experiment, struct ig_str filter,
                                 struct ig_arena *arena, struct ig_err *err);
void rest_path(struct rest *rest, const char *path);
void rest_query(struct rest *rest, const char *name, struct ig_str value);
enum ig_code rest_get(struct rest *rest, struct ig_err *err);
bool rest_read_experiment(void *list, struct ig_json *json);
bool rest_read_version(void *list, struct ig_json *json);
enum ig_code rest_experiments(struct ig_transfer_experiments *out, struct ig_transfer_side *side,
                              struct ig_arena *arena, struct ig_err *err);
enum ig_code rest_runs(struct ig_transfer_runs *out, struct ig_transfer_side *side,
                       struct ig_str experiment, struct ig_buf *token, struct ig_arena *arena,
                       struct ig_err *err);
enum ig_code rest_history(struct ig_mlruns_points *out, struct ig_transfer_side *side,
                          const struct ig_transfer_run *run, struct ig_str key,
                          struct ig_arena *arena, struct ig_err *err);
enum ig_code rest_loggeds(struct ig_transfer_loggeds *out, struct ig_transfer_side *side,
                          struct ig_str experiment, struct ig_arena *arena, struct ig_err *err);
enum ig_code rest_files(struct ig_transfer_files *out, struct ig_transfer_side *side,
                        const struct ig_transfer_owner *owner, struct ig_arena *arena,
                        struct ig_err *err);
enum ig_code rest_fetch(int fd, struct ig_transfer_side *side,
                        const struct ig_transfer_owner *owner, struct ig_str path,
                        struct ig_err *err);
enum ig_code rest_put_file(struct ig_transfer_side *side, const struct ig_transfer_owner *owner,
                           const struct ig_transfer_file *file, int fd, struct ig_err *err);
enum ig_code rest_models(struct ig_transfer_models *out, struct ig_transfer_side *side,
                         struct ig_arena *arena, struct ig_err *err);
enum ig_code rest_versions(struct ig_transfer_versions *out, struct ig_transfer_side *side,
                           struct ig_str model, struct ig_arena *arena, struct ig_err *err);
enum ig_code rest_location(struct ig_str *out, struct ig_transfer_side *side, struct ig_str model,
                           int64_t version, struct ig_arena *arena, struct ig_err *err);

#endif
