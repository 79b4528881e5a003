/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_REMOTE_H
#define IG_APP_REMOTE_H

/* A running server as the verbs see it: address and key from the options of IG_CLIENT_OPTIONS, JSON
 * in and out, errors in the server's own words. */

#include "cli.h"
#include "json_view.h"

#include "net/client.h"

struct ig_remote {
    struct ig_client *client;
    const char *url;
    struct ig_arena arena;        /* for what replies are read into */
    struct ig_client_reply reply; /* the last one */
    char headers[256];
};

enum ig_code ig_remote_open(struct ig_remote *remote, const struct ig_cli *cli, struct ig_err *err);
void ig_remote_close(struct ig_remote *remote); /* also after a failed open */
/* Calls and expects 2xx; else the server's error, with its code. `body`: JSON or empty. */
enum ig_code ig_remote_call(struct ig_remote *remote, const char *method, const char *path,
                            struct ig_str body, struct ig_err *err);
/* Streams a file up; *digest lives in the arena. */
enum ig_code ig_remote_upload(struct ig_str *digest, struct ig_remote *remote, const char *file,
                              struct ig_err *err);
/* The last reply's body. */
struct ig_str ig_remote_body(const struct ig_remote *remote);
/* "/api/v1/models/" + escaped name + rest, in the arena; NULL when out of memory. */
const char *ig_remote_path(struct ig_remote *remote, const char *start, const char *name,
                           const char *rest);
/* A hint for a failed call, or NULL. */
const char *ig_remote_hint(const struct ig_err *err);

/* Opens, calls once, prints the reply indented: what many verbs are. */
int ig_remote_show(const struct ig_cli *cli, const char *method, const char *path);

#endif
