/* SPDX-License-Identifier: Apache-2.0 */
/* Frames between the server and its replicas. Owns nothing. Thread rule: a socket belongs to one
 * thread at a time. */
#include "services/deploy/replica_wire.h"

#include "base/clock.h"
#include "base/mem.h"
#include "kernels/explain/explain_rows.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAGIC = 0x52504c31 };

struct frame {
    uint32_t magic, kind;
    uint64_t length;
};

/* ---- frames ---- */

static enum ig_code wait_for(int fd, short events, uint64_t deadline_ns, struct ig_err *err)
{
    int timeout_ms = -1;
    uint64_t now_ns = ig_clock_ns();
    if (deadline_ns && now_ns >= deadline_ns)
        return ig_fail(err, IG_DEADLINE, "no answer within the time of the call");
    if (deadline_ns) {
        uint64_t left_ms = (deadline_ns - now_ns) / 1000000 + 1;
        timeout_ms = left_ms > 60000 ? 60000 : (int)left_ms;
    }
    struct pollfd one = {.fd = fd, .events = events};
    if (poll(&one, 1, timeout_ms) < 0 && errno != EINTR)
        return ig_fail(err, IG_IO, "replica: poll: %s", strerror(errno));
    return IG_OK; /* or nothing yet: the caller tries, and comes back */
}

/* Whether an errno of a socket is a reason to wait; else the failure. */
static bool is_pause(int number, struct ig_err *err)
{
    if (number == EAGAIN || number == EWOULDBLOCK || number == EINTR) return true;
    ig_fail(err, IG_CANCELLED, "the other end is gone: %s", strerror(number));
    return false;
}

static enum ig_code send_all(int fd, const char *bytes, size_t left, uint64_t deadline_ns,
                             struct ig_err *err)
{
    while (left) {
        ssize_t sent = send(fd, bytes, left, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            bytes += sent;
            left -= (size_t)sent;
        } else if (!is_pause(errno, err) || wait_for(fd, POLLOUT, deadline_ns, err) != IG_OK) {
            return err->code;
        }
    }
    return IG_OK;
}

static enum ig_code receive_all(int fd, char *bytes, size_t left, uint64_t deadline_ns,
                                struct ig_err *err)
{
    while (left) {
        ssize_t got = recv(fd, bytes, left, MSG_DONTWAIT);
        if (got > 0) {
            bytes += got;
            left -= (size_t)got;
        } else if (got == 0) {
            return ig_fail(err, IG_CANCELLED, "the other end is gone");
        } else if (!is_pause(errno, err) || wait_for(fd, POLLIN, deadline_ns, err) != IG_OK) {
            return err->code;
        }
    }
    return IG_OK;
}

enum ig_code ig_replica_send(int fd, enum ig_replica_message kind, struct ig_str bytes,
                             uint64_t deadline_ns, struct ig_err *err)
{
    const struct frame frame = {MAGIC, (uint32_t)kind, bytes.len};
    if (send_all(fd, (const char *)&frame, sizeof frame, deadline_ns, err) != IG_OK)
        return err->code;
    return send_all(fd, bytes.ptr, bytes.len, deadline_ns, err);
}

enum ig_code ig_replica_receive(enum ig_replica_message *kind, struct ig_buf *bytes, int fd,
                                uint64_t deadline_ns, struct ig_err *err)
{
    struct frame frame;
    ig_buf_reset(bytes);
    if (receive_all(fd, (char *)&frame, sizeof frame, deadline_ns, err) != IG_OK) return err->code;
    if (frame.magic != MAGIC || frame.kind < IG_REPLICA_SETUP || frame.kind > IG_REPLICA_ERROR)
        return ig_fail(err, IG_CORRUPT, "replica: what came is no frame");
    if (frame.length > bytes->max_bytes)
        return ig_fail(err, IG_TOO_LARGE, "replica: a frame of %llu bytes, at most %zu",
                       (unsigned long long)frame.length, bytes->max_bytes);
    if (!ig_buf_reserve(bytes, (size_t)frame.length))
        return ig_fail(err, IG_NO_MEMORY, "replica: a frame of %llu bytes",
                       (unsigned long long)frame.length);
    if (receive_all(fd, bytes->ptr, (size_t)frame.length, deadline_ns, err) != IG_OK)
        return err->code;
    bytes->len = (size_t)frame.length;
    *kind = (enum ig_replica_message)frame.kind;
    return IG_OK;
}

static struct ig_unpack unpack_of(struct ig_str bytes)
{
    return (struct ig_unpack){bytes.ptr, bytes.len, false};
}

static enum ig_code fail_damaged(struct ig_err *err, const char *what)
{
    return ig_fail(err, IG_CORRUPT, "replica: %s is cut or damaged", what);
}

/* ---- SETUP ---- */

void ig_replica_setup_write(struct ig_buf *out, const struct ig_replica_setup *setup)
{
    ig_pack_text(out, setup->deployment);
    ig_pack_text(out, setup->graph);
    ig_pack_u64(out, setup->memory_bytes);
    ig_pack_u64(out, setup->tables_max_bytes);
    ig_pack_text(out, setup->blobs);
    ig_pack_u64(out, setup->digests_count);
    for (size_t i = 0; i < setup->digests_count; i++) ig_pack_text(out, setup->digests[i]);
}

enum ig_code ig_replica_setup_read(struct ig_replica_setup *out, struct ig_str bytes,
                                   struct ig_arena *arena, struct ig_err *err)
{
    struct ig_unpack in = unpack_of(bytes);
    out->deployment = ig_unpack_text(&in);
    out->graph = ig_unpack_text(&in);
    out->memory_bytes = ig_unpack_u64(&in);
    out->tables_max_bytes = ig_unpack_u64(&in);
    out->blobs = ig_unpack_text(&in);
    out->digests_count = ig_unpack_u64(&in);
    if (out->digests_count > IG_ROUTING_NODES_MAX) in.failed = true;
    struct ig_str *digests = ig_arena_array(arena, IG_ROUTING_NODES_MAX, sizeof *digests);
    if (!digests) return ig_fail(err, IG_NO_MEMORY, "replica");
    for (size_t i = 0; !in.failed && i < out->digests_count; i++) digests[i] = ig_unpack_text(&in);
    out->digests = digests;
    return in.failed ? fail_damaged(err, "SETUP") : IG_OK;
}

/* ---- READY ---- */

void ig_replica_face_write(struct ig_buf *out, uint32_t node, const struct ig_package *package)
{
    struct ig_buf face;
    ig_buf_init(&face, out->max_bytes);
    ig_package_face_write(&face, package);
    ig_pack_u64(out, node);
    ig_pack_text(out, ig_buf_view(&face));
    out->overflowed = out->overflowed || face.overflowed;
    ig_buf_deinit(&face);
}

bool ig_replica_face_read(uint32_t *node, struct ig_package **out, struct ig_unpack *in,
                          struct ig_err *err)
{
    if (!in->failed && !in->left) return false;
    uint64_t number = ig_unpack_u64(in);
    struct ig_str face = ig_unpack_text(in);
    if (in->failed || number >= IG_ROUTING_NODES_MAX) {
        fail_damaged(err, "READY");
        return false;
    }
    *node = (uint32_t)number;
    return ig_package_face_read(out, face, err) == IG_OK;
}

/* ---- CALL ---- */

/* Structs with pointers travel whole; each pointer is set anew where they arrive. */
static void write_ask(struct ig_buf *out, const struct ig_explain_ask *ask, uint32_t features_count)
{
    const struct ig_counterfactual_ask *wanted = ask->options.counterfactual;
    ig_pack_array(out, ask, 1, sizeof *ask);
    ig_pack_text(out, ask->background_digest);
    if (ask->players.of_feature)
        ig_pack_array(out, ask->players.of_feature, features_count, sizeof(uint32_t));
    if (!wanted) return;
    ig_pack_array(out, wanted, 1, sizeof *wanted);
    if (wanted->constraints)
        ig_pack_array(out, wanted->constraints, features_count, sizeof *wanted->constraints);
}

static void read_ask(struct ig_replica_call *out, struct ig_unpack *in, uint32_t features_count)
{
    const struct ig_explain_ask *ask = ig_unpack_array(in, 1, sizeof *ask);
    if (!ask) return;
    out->ask = *ask;
    out->ask.background = out->ask.background_digest = ig_unpack_text(in);
    if (!out->ask.background.len) out->ask.background.ptr = NULL;
    if (ask->players.of_feature)
        out->ask.players.of_feature = ig_unpack_array(in, features_count, sizeof(uint32_t));
    out->request.ask = &out->ask;
    out->ask.options.counterfactual = NULL;
    if (!ask->options.counterfactual) return;
    const struct ig_counterfactual_ask *wanted = ig_unpack_array(in, 1, sizeof *wanted);
    if (!wanted) return;
    out->counterfactual = *wanted;
    if (wanted->constraints)
        out->counterfactual.constraints =
            ig_unpack_array(in, features_count, sizeof *wanted->constraints);
    out->ask.options.counterfactual = &out->counterfactual;
}

void ig_replica_call_write(struct ig_buf *out, uint32_t node,
                           const struct ig_inference_request *request, uint32_t features_count)
{
    ig_pack_u64(out, node);
    ig_pack_u64(out, request->rows_count);
    ig_pack_u64(out, request->explain);
    ig_pack_u64(out, request->ask != NULL);
    ig_pack_array(out, request->rows, request->rows_count * features_count, sizeof(double));
    if (request->ask) write_ask(out, request->ask, features_count);
}

enum ig_code ig_replica_call_node(uint32_t *node, struct ig_str bytes, struct ig_err *err)
{
    struct ig_unpack in = unpack_of(bytes);
    uint64_t number = ig_unpack_u64(&in);
    if (in.failed || number >= IG_ROUTING_NODES_MAX) return fail_damaged(err, "CALL");
    *node = (uint32_t)number;
    return IG_OK;
}

enum ig_code ig_replica_call_read(struct ig_replica_call *out, struct ig_str bytes,
                                  uint32_t features_count, struct ig_err *err)
{
    struct ig_unpack in = unpack_of(bytes);
    size_t cells;
    *out = (struct ig_replica_call){.node = (uint32_t)ig_unpack_u64(&in)};
    out->request.rows_count = ig_unpack_u64(&in);
    out->request.explain = ig_unpack_u64(&in) != 0;
    bool asks = ig_unpack_u64(&in) != 0;
    if (!ig_mul(&cells, out->request.rows_count, features_count)) in.failed = true;
    out->request.rows = ig_unpack_array(&in, in.failed ? 0 : cells, sizeof(double));
    if (asks) read_ask(out, &in, features_count);
    return in.failed ? fail_damaged(err, "CALL") : IG_OK;
}

/* ---- RESULT ---- */

static void write_choice(struct ig_buf *out, const struct ig_explain_choice *choice)
{
    ig_pack_u64(out, choice != NULL);
    if (!choice) return;
    ig_pack_u64(out, (uint64_t)choice->method);
    ig_pack_u64(out, choice->probability);
    ig_pack_u64(out, choice->cost_ns);
    ig_pack_text(out, ig_str_view(choice->background));
    ig_pack_text(out, ig_str_view(choice->why));
    ig_pack_text(out, ig_str_view(choice->unit));
    ig_pack_text(out, ig_str_view(choice->variant));
}

static void write_usage(struct ig_buf *out, const struct ig_replica_usage *usage)
{
    ig_pack_u64(out, usage->cpu_ns);
    ig_pack_u64(out, usage->memory_bytes);
    ig_pack_u64(out, usage->full);
}

static struct ig_replica_usage read_usage(struct ig_unpack *in)
{
    struct ig_replica_usage usage = {.cpu_ns = ig_unpack_u64(in)};
    usage.memory_bytes = ig_unpack_u64(in);
    usage.full = ig_unpack_u64(in) != 0;
    return usage;
}

void ig_replica_result_write(struct ig_buf *out, const struct ig_replica_result *given,
                             const struct ig_model *model)
{
    const struct ig_inference_result *result = &given->result;
    bool explained = result->explanations.rows_count != 0;
    write_usage(out, &given->usage);
    ig_pack_array(out, result->margins, result->rows_count * result->outputs_count, sizeof(double));
    ig_pack_array(out, result->predictions, result->rows_count * result->predictions_count,
                  sizeof(double));
    ig_pack_u64(out, result->skipped != NULL);
    if (result->skipped)
        ig_pack_array(out, result->skipped, result->rows_count, sizeof *result->skipped);
    write_choice(out, result->choice);
    ig_pack_u64(out, explained);
    for (size_t i = 0; explained && i < result->rows_count; i++) {
        struct ig_buf row;
        struct ig_explanations one = ig_explanations_row(&result->explanations, i, model);
        ig_buf_init(&row, out->max_bytes);
        ig_explanations_pack(&row, &one, model);
        ig_pack_text(out, ig_buf_view(&row));
        out->overflowed = out->overflowed || row.overflowed;
        ig_buf_deinit(&row);
    }
}

static void read_choice(struct ig_inference_result *out, struct ig_unpack *in,
                        struct ig_arena *arena)
{
    if (!ig_unpack_u64(in)) return;
    struct ig_explain_choice *choice = ig_arena_zalloc(arena, sizeof *choice);
    if (!choice) {
        in->failed = true;
        return;
    }
    uint64_t method = ig_unpack_u64(in);
    if (method >= IG_EXPLAINERS_COUNT) in->failed = true;
    choice->method = (enum ig_explainer)method;
    choice->probability = ig_unpack_u64(in) != 0;
    choice->cost_ns = ig_unpack_u64(in);
    struct ig_str background = ig_unpack_text(in), why = ig_unpack_text(in);
    if (background.len >= sizeof choice->background || why.len >= sizeof choice->why) {
        in->failed = true;
        return;
    }
    if (background.len) memcpy(choice->background, background.ptr, background.len);
    if (why.len) memcpy(choice->why, why.ptr, why.len);
    choice->unit = ig_arena_cstr(arena, ig_unpack_text(in));
    choice->variant = ig_arena_cstr(arena, ig_unpack_text(in));
    if (!choice->unit || !choice->variant) in->failed = true;
    out->choice = choice;
}

static void read_explanations(struct ig_inference_result *out, struct ig_unpack *in,
                              const struct ig_model *model, struct ig_arena *arena)
{
    struct ig_explanations *rows = ig_arena_array(arena, out->rows_count, sizeof *rows);
    if (!rows) in->failed = true;
    for (size_t i = 0; !in->failed && i < out->rows_count; i++) {
        if (!ig_explanations_unpack(&rows[i], ig_unpack_text(in), model, arena) ||
            !ig_explanations_alike(&rows[i], &rows[0]))
            in->failed = true;
    }
    if (!in->failed &&
        !ig_explanations_join(&out->explanations, rows, out->rows_count, model, arena))
        in->failed = true;
}

enum ig_code ig_replica_result_read(struct ig_replica_result *out, struct ig_str bytes,
                                    size_t rows_count, const struct ig_model *model,
                                    struct ig_arena *arena, struct ig_err *err)
{
    struct ig_unpack in = unpack_of(bytes);
    struct ig_inference_result result = {
        .rows_count = rows_count,
        .features_count = model->features_count,
        .outputs_count = model->outputs_count,
        .predictions_count = model->predictions_count,
        .probabilities = ig_model_gives_probabilities(model),
    };
    struct ig_replica_usage usage = read_usage(&in);
    result.margins = ig_unpack_array(&in, rows_count * model->outputs_count, sizeof(double));
    result.predictions =
        ig_unpack_array(&in, rows_count * model->predictions_count, sizeof(double));
    if (ig_unpack_u64(&in))
        result.skipped = ig_unpack_array(&in, rows_count, sizeof *result.skipped);
    read_choice(&result, &in, arena);
    if (ig_unpack_u64(&in)) read_explanations(&result, &in, model, arena);
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "inference on %zu rows", rows_count);
    if (in.failed) return fail_damaged(err, "RESULT");
    *out = (struct ig_replica_result){result, usage};
    return IG_OK;
}

/* ---- ERROR ---- */

void ig_replica_error_write(struct ig_buf *out, const struct ig_replica_usage *usage,
                            const struct ig_err *error)
{
    write_usage(out, usage);
    ig_pack_u64(out, (uint64_t)error->code);
    ig_pack_text(out, ig_str_view(error->message));
}

enum ig_code ig_replica_error_read(struct ig_str bytes, struct ig_replica_usage *usage,
                                   struct ig_err *err)
{
    struct ig_unpack in = unpack_of(bytes);
    *usage = read_usage(&in);
    uint64_t code = ig_unpack_u64(&in);
    struct ig_str message = ig_unpack_text(&in);
    if (in.failed || code == IG_OK || code >= IG_CODES_COUNT || message.len >= sizeof err->message)
        return fail_damaged(err, "ERROR");
    return ig_fail(err, (enum ig_code)code, "%.*s", IG_STR_ARGS(message));
}
