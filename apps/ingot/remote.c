/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the command line to a server. The key is read from a file or the environment, never from
 * the command line, where other users of the machine would see it. */
#include "remote.h"

#include "base/file.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum ig_code read_key(struct ig_remote *remote, const struct ig_cli *cli, struct ig_err *err)
{
    const char *path = ig_cli_text(cli, "key-file");
    const char *key = getenv("INGOT_API_KEY");
    struct ig_buf file;
    ig_buf_init(&file, 4096);
    struct ig_str text = ig_str_view(key);
    if (path) {
        if (ig_file_read(&file, IG_FILE_CWD, path, err) != IG_OK) {
            ig_err_prefix(err, "--key-file");
            goto out;
        }
        text = ig_str_trim(ig_buf_view(&file));
    }
    if (!text.len) goto out;
    int length = snprintf(remote->headers, sizeof remote->headers, "Authorization: Bearer %.*s\r\n",
                          IG_STR_ARGS(text));
    if ((size_t)length >= sizeof remote->headers || memchr(text.ptr, '\n', text.len))
        ig_fail(err, IG_INVALID, "the API key is not one line of at most 200 characters");
out:
    ig_buf_deinit(&file);
    return err->code;
}

enum ig_code ig_remote_open(struct ig_remote *remote, const struct ig_cli *cli, struct ig_err *err)
{
    const char *url = ig_cli_text(cli, "server");
    if (!url) url = getenv("INGOT_SERVER");
    signal(SIGPIPE, SIG_IGN); /* a lost server is an error, not an end */
    *remote = (struct ig_remote){.url = url ? url : "http://127.0.0.1:8080"};
    ig_arena_init(&remote->arena, 64 << 10, (size_t)256 << 20);
    ig_buf_init(&remote->reply.body, (size_t)256 << 20);
    if (read_key(remote, cli, err) != IG_OK) return err->code;
    const char *ca = ig_cli_text(cli, "ca");
    struct ig_client_options options = {.headers = remote->headers[0] ? remote->headers : NULL,
                                        .ca_file = ca ? ca : getenv("INGOT_CA")};
    if (ig_client_new(&remote->client, remote->url, &options, err) != IG_OK)
        ig_err_prefix(err, "--server");
    return err->code;
}

void ig_remote_close(struct ig_remote *remote)
{
    if (remote->client) ig_client_free(remote->client);
    ig_buf_deinit(&remote->reply.body);
    ig_arena_deinit(&remote->arena);
}

struct ig_str ig_remote_body(const struct ig_remote *remote)
{
    return ig_buf_view(&remote->reply.body);
}

static enum ig_code code_of(int status)
{
    for (int code = IG_OK + 1; code < IG_CODES_COUNT; code++)
        if (ig_code_http_status((enum ig_code)code) == status) return (enum ig_code)code;
    return IG_INTERNAL;
}

static enum ig_code judge(struct ig_remote *remote, struct ig_err *err)
{
    int status = remote->reply.status;
    if (status >= 200 && status < 300) return IG_OK;
    struct ig_str message =
        ig_json_view_text(ig_remote_body(remote), "error.message", &remote->arena);
    if (!message.len) return ig_fail(err, code_of(status), "the server answered %d", status);
    return ig_fail(err, code_of(status), "%.*s", IG_STR_ARGS(message));
}

static enum ig_code call(struct ig_remote *remote, struct ig_client_call *request,
                         struct ig_err *err)
{
    if (!request->path) return ig_fail(err, IG_NO_MEMORY, "no memory for the request");
    ig_buf_reset(&remote->reply.body);
    if (ig_client_call(remote->client, request, &remote->reply, err) != IG_OK) return err->code;
    return judge(remote, err);
}

enum ig_code ig_remote_call(struct ig_remote *remote, const char *method, const char *path,
                            struct ig_str body, struct ig_err *err)
{
    struct ig_client_call request = {.method = method,
                                     .path = path,
                                     .content_type = body.len ? "application/json" : NULL,
                                     .body = body};
    return call(remote, &request, err);
}

enum ig_code ig_remote_upload(struct ig_str *digest, struct ig_remote *remote, const char *file,
                              struct ig_err *err)
{
    int fd = -1;
    struct ig_client_call request = {.method = "POST",
                                     .path = "/api/v1/blobs",
                                     .content_type = "application/octet-stream",
                                     .has_body_fd = true};
    if (ig_file_open_read(&fd, IG_FILE_CWD, file, err) != IG_OK) return err->code;
    request.body_fd = fd;
    if (ig_file_size(&request.body_fd_bytes, fd, err) == IG_OK &&
        call(remote, &request, err) == IG_OK)
        *digest = ig_arena_dup(&remote->arena,
                               ig_json_view_text(ig_remote_body(remote), "digest", &remote->arena));
    ig_file_close(&fd);
    return err->code;
}

const char *ig_remote_path(struct ig_remote *remote, const char *start, const char *name,
                           const char *rest)
{
    struct ig_buf buf;
    ig_buf_init(&buf, 64 << 10);
    ig_buf_add_cstr(&buf, start);
    ig_client_escape(&buf, ig_str_view(name));
    ig_buf_add_cstr(&buf, rest);
    char *path = buf.overflowed ? NULL : ig_arena_cstr(&remote->arena, ig_buf_view(&buf));
    ig_buf_deinit(&buf);
    return path;
}

const char *ig_remote_hint(const struct ig_err *err)
{
    if (err->code == IG_UNAVAILABLE)
        return "is the server running? start it with `ingot server`, or name it with --server URL";
    if (err->code == IG_UNAUTHENTICATED)
        return "give a key with --key-file FILE or the variable INGOT_API_KEY";
    return NULL;
}

int ig_remote_show(const struct ig_cli *cli, const char *method, const char *path)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_remote remote;
    if (ig_remote_open(&remote, cli, &err) == IG_OK &&
        ig_remote_call(&remote, method, path, IG_STR(""), &err) == IG_OK)
        ig_json_view_print(stdout, ig_remote_body(&remote));
    ig_remote_close(&remote);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, ig_remote_hint(&err));
}
