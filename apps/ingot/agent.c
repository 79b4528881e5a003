/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's model, rows, sketches and what it still has to tell. The network stands in
 * agent_sync.c. */
#include "agent.h"

#include "cmd_edge.h"
#include "ingot_edge_file.h"
#include "json_view.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "formats/edge/minisign.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STATE_MAX = 16 << 10, DAY_MS = 86400 * 1000 };
static const char REPORTS_FILE[] = "reports", TRIED_FILE[] = "tried", KEY_FILE[] = "key";

const char *ig_agent_word(enum ige_bundle_status status)
{
    static const char *const WORDS[] = {
        "",        "broken",   "other_key", "bad_signature", "wrong_target",
        "expired", "replayed", "too_large", "bad_model",     "wrong_answers"};
    return WORDS[status];
}

/* ---- what is to be told ---- */

enum ig_code ig_agent_keep_reports(struct agent *agent, struct ig_err *err)
{
    struct ig_buf text;
    ig_buf_init(&text, STATE_MAX);
    for (size_t i = 0; i < agent->reports_count; i++)
        ig_buf_printf(&text, "%llu,%s,%s\n", (unsigned long long)agent->reports[i].counter,
                      agent->reports[i].state, agent->reports[i].word);
    ig_file_replace(agent->dirfd, REPORTS_FILE, ig_buf_view(&text), err);
    ig_buf_deinit(&text);
    return err->code;
}

static void read_report(struct agent *agent, struct ig_str line)
{
    struct agent_report report = {0};
    struct ig_str rest = line;
    if (!ig_str_to_u64(ig_str_cut(&rest, ','), &report.counter)) return;
    struct ig_str state = ig_str_cut(&rest, ',');
    if (agent->reports_count == AGENT_REPORTS_MAX || state.len >= sizeof report.state ||
        rest.len >= sizeof report.word)
        return;
    memcpy(report.state, state.ptr, state.len);
    if (rest.len) memcpy(report.word, rest.ptr, rest.len);
    agent->reports[agent->reports_count++] = report;
}

static enum ig_code read_state(struct agent *agent, struct ig_err *err)
{
    struct ig_buf text;
    struct ig_err absent = IG_ERR_INIT;
    ig_buf_init(&text, STATE_MAX);
    if (ig_file_read(&text, agent->dirfd, REPORTS_FILE, &absent) == IG_OK) {
        struct ig_str rest = ig_buf_view(&text);
        while (rest.len) read_report(agent, ig_str_cut(&rest, '\n'));
    } else if (absent.code != IG_NOT_FOUND) {
        ig_fail(err, absent.code, "%s", absent.message);
    }
    ig_err_clear(&absent);
    if (ig_file_read(&text, agent->dirfd, TRIED_FILE, &absent) == IG_OK)
        ig_str_to_u64(ig_str_trim(ig_buf_view(&text)), &agent->tried);
    ig_buf_deinit(&text);
    return err->code;
}

void ig_agent_tell(struct agent *agent, uint64_t counter, const char *state, const char *word)
{
    struct ig_err ignored = IG_ERR_INIT;
    if (agent->reports_count == AGENT_REPORTS_MAX) { /* the oldest says least */
        memmove(agent->reports, agent->reports + 1, sizeof agent->reports - sizeof *agent->reports);
        agent->reports_count--;
    }
    struct agent_report *report = &agent->reports[agent->reports_count++];
    *report = (struct agent_report){.counter = counter};
    snprintf(report->state, sizeof report->state, "%s", state);
    snprintf(report->word, sizeof report->word, "%s", word);
    fprintf(stderr, "bundle %llu: %s%s%s\n", (unsigned long long)counter, state, *word ? ", " : "",
            word);
    ig_agent_keep_reports(agent, &ignored);
}

void ig_agent_set_tried(struct agent *agent, uint64_t counter)
{
    char text[24];
    struct ig_err ignored = IG_ERR_INIT;
    int length = snprintf(text, sizeof text, "%llu", (unsigned long long)counter);
    agent->tried = counter;
    ig_file_replace(agent->dirfd, TRIED_FILE, (struct ig_str){text, (size_t)length}, &ignored);
}

/* ---- the key ---- */

enum ig_code ig_agent_take_key(struct agent *agent, struct ig_str public_key,
                               struct ig_str signature, struct ig_err *err)
{
    unsigned char key[IG_MINISIGN_KEY_BYTES], block[IG_MINISIGN_SIGNATURE_BYTES];
    if (ig_minisign_public_read(key, public_key, err) != IG_OK ||
        ig_minisign_signature_read(block, signature, err) != IG_OK)
        return err->code;
    if (!ige_minisign_verify(block, agent->key, public_key.ptr, public_key.len))
        return ig_fail(err, IG_DENIED, "a new key that the device's key has not signed");
    if (ig_file_replace(agent->dirfd, KEY_FILE, public_key, err) != IG_OK) return err->code;
    pthread_mutex_lock(&agent->lock);
    memcpy(agent->key, key, sizeof agent->key);
    pthread_mutex_unlock(&agent->lock);
    fprintf(stderr, "a new key\n");
    return IG_OK;
}

/* The identity's, or the last one that followed on it. */
static enum ig_code read_key(struct agent *agent, struct ig_err *err)
{
    struct ig_buf text;
    struct ig_err absent = IG_ERR_INIT;
    ig_buf_init(&text, STATE_MAX);
    if (ig_file_read(&text, agent->dirfd, KEY_FILE, &absent) == IG_OK)
        ig_minisign_public_read(agent->key, ig_buf_view(&text), err);
    else if (absent.code != IG_NOT_FOUND)
        ig_fail(err, absent.code, "%s", absent.message);
    ig_buf_deinit(&text);
    return err->code;
}

/* ---- the model ---- */

/* Inputs by the hundred (images, sound) are told by the score alone. */
size_t ig_agent_sketches(struct ige_sketch **out, const struct ige_bundle *bundle,
                         struct ige_interpreter *interpreter)
{
    enum { FEATURES_MAX = 256 };
    size_t count = 0, features = ige_input(interpreter)->count;
    if (ige_is_network(interpreter->model) && features > FEATURES_MAX) features = 0;
    struct ige_sketch *sketches = ig_zalloc_array(features + 1, sizeof *sketches);
    for (size_t f = 0; sketches && f < features; f++)
        count += ige_sketch_of_feature(&sketches[count], interpreter, (uint16_t)f) != 0;
    if (sketches) count += ige_sketch_of_score(&sketches[count], bundle, interpreter) != 0;
    *out = sketches;
    return count;
}

static void begin_sketches(struct agent *agent)
{
    ig_free(agent->sketches);
    agent->sketches_count =
        ig_agent_sketches(&agent->sketches, &agent->slots.bundle, &agent->interpreter);
    agent->rows = 0;
}

void ig_agent_flush(struct agent *agent)
{
    uint32_t day = (uint32_t)(ig_clock_unix_ms() / DAY_MS);
    if (!agent->rows) return;
    for (size_t i = 0; i < agent->sketches_count; i++) {
        struct ige_sketch *sketch = &agent->sketches[i];
        ige_sketch_log(&agent->log, sketch, agent->slots.bundle.counter, day);
        ige_sketch_clear(sketch);
    }
    agent->rows = 0;
}

/* Tells how a trial ended that was under way when the agent was last there. */
static void settle(struct agent *agent)
{
    uint64_t tried = agent->tried;
    if (!tried || agent->slots.trial != IGE_SLOTS_NONE) return;
    if (agent->slots.device.counter >= tried)
        ig_agent_tell(agent, tried, "confirmed", "");
    else
        ig_agent_tell(agent, tried, "reverted", "not_confirmed");
    ig_agent_set_tried(agent, 0);
}

static void confirm(struct agent *agent)
{
    uint64_t counter = agent->slots.bundle.counter;
    if (!ige_slots_confirm(&agent->slots)) return;
    ig_agent_tell(agent, counter, "confirmed", "");
    ig_agent_set_tried(agent, 0);
}

static bool begin_row(struct agent *agent)
{
    ig_free(agent->row);
    agent->row_count = ig_agent_inputs(&agent->interpreter);
    agent->row = ig_zalloc_array(agent->row_count, sizeof *agent->row);
    return agent->ready = agent->row != NULL;
}

void ig_agent_start(struct agent *agent)
{
    const struct ige_device device = {
        .key = agent->key,
        .target = agent->target,
        .now = (uint64_t)ig_clock_unix_ms() / 1000,
        .arena = agent->trial_arena,
        .arena_bytes = AGENT_ARENA_BYTES,
    };
    agent->ready = ige_slots_start(&agent->slots, &agent->flash.slots, &device) == IGE_BUNDLE_OK &&
                   ige_load(&agent->model, agent->slots.bundle.model,
                            agent->slots.bundle.model_bytes) == IGE_OK &&
                   ige_allocate_tensors(&agent->interpreter, &agent->model, agent->arena,
                                        AGENT_ARENA_BYTES) == IGE_OK;
    agent->trial_rows = 0;
    settle(agent);
    if (!agent->ready || !begin_row(agent)) return;
    begin_sketches(agent);
    if (agent->slots.trial == IGE_SLOTS_NONE) return;
    if (agent->tried != agent->slots.bundle.counter)
        ig_agent_set_tried(agent, agent->slots.bundle.counter);
    if (!agent->options.trial_rows)
        confirm(agent);
    else
        fprintf(stderr, "bundle %llu: on trial, %u starts left\n",
                (unsigned long long)agent->slots.bundle.counter, agent->slots.tries);
}

/* ---- rows ---- */

enum ig_code ig_agent_numbers(double *out, size_t count, struct ig_str line, struct ig_err *err)
{
    struct ig_str rest = line;
    for (size_t i = 0; i < count; i++) {
        out[i] = (double)NAN;
        if (!rest.ptr)
            return ig_fail(err, IG_INVALID, "%zu numbers, the model takes %zu", i, count);
        struct ig_str cell = ig_str_trim(ig_str_cut(&rest, ','));
        if (cell.len && !ig_str_to_f64(cell, &out[i]))
            return ig_fail(err, IG_INVALID,
                           "'%.*s' is no number (edge run --inputs makes numbers of table rows)",
                           cell.len > 40 ? 40 : (int)cell.len, cell.ptr);
    }
    if (rest.ptr) return ig_fail(err, IG_INVALID, "more numbers than the model's %zu", count);
    return IG_OK;
}

size_t ig_agent_inputs(const struct ige_interpreter *interpreter)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < ige_inputs_count(interpreter->model); i++)
        sum += ige_input_at(interpreter, i).count;
    return sum;
}

void ig_agent_invoke(struct ige_interpreter *interpreter, const double *row,
                     struct ige_sketch *sketches, size_t count)
{
    ig_cmd_edge_set_row(interpreter, row);
    for (size_t i = 0; i < count; i++)
        if (sketches[i].feature != IGE_SKETCH_SCORE)
            ige_sketch_add_input(&sketches[i], interpreter);
    ige_invoke(interpreter);
    for (size_t i = 0; i < count; i++)
        if (sketches[i].feature == IGE_SKETCH_SCORE)
            ige_sketch_add_score(&sketches[i], interpreter);
}

static void write_margins(struct ig_buf *out, const struct ige_interpreter *interpreter)
{
    uint32_t count = ig_cmd_edge_values(interpreter);
    for (uint32_t i = 0; i < count; i++)
        ig_buf_printf(out, "%s%.17g", i ? "," : "", ig_cmd_edge_value(interpreter, i));
    ig_buf_add_char(out, '\n');
}

static enum ig_code run_row(struct ig_buf *out, struct agent *agent, struct ig_str line,
                            struct ig_err *err)
{
    if (!agent->ready) return ig_fail(err, IG_UNAVAILABLE, "there is no model yet");
    if (ig_agent_numbers(agent->row, agent->row_count, line, err) != IG_OK) return err->code;
    ig_agent_invoke(&agent->interpreter, agent->row, agent->sketches, agent->sketches_count);
    agent->rows++;
    write_margins(out, &agent->interpreter);
    if (agent->rows >= agent->options.flush_rows) ig_agent_flush(agent);
    if (agent->slots.trial != IGE_SLOTS_NONE && ++agent->trial_rows >= agent->options.trial_rows)
        confirm(agent);
    return IG_OK;
}

enum ig_code ig_agent_row(struct ig_buf *out, struct agent *agent, struct ig_str line,
                          struct ig_err *err)
{
    pthread_mutex_lock(&agent->lock);
    run_row(out, agent, line, err);
    pthread_mutex_unlock(&agent->lock);
    return err->code;
}

/* ---- life ---- */

static const char *member(struct agent *agent, const char *name, struct ig_err *err)
{
    struct ig_str text = ig_json_view_text(agent->options.identity, name, &agent->memory);
    const char *copy = text.len ? ig_arena_cstr(&agent->memory, text) : NULL;
    if (!copy && strcmp(name, "target") != 0)
        ig_fail(err, IG_INVALID, "--identity: it has no '%s'", name);
    return copy ? copy : "";
}

static enum ig_code read_identity(struct agent *agent, struct ig_err *err)
{
    agent->id = member(agent, "id", err);
    agent->target = member(agent, "target", err);
    const char *token = member(agent, "token", err);
    const char *key = member(agent, "public_key", err);
    const char *server =
        agent->options.server ? agent->options.server : member(agent, "server", err);
    if (err->code != IG_OK) return err->code;
    int length =
        snprintf(agent->headers, sizeof agent->headers, "Authorization: Bearer %s\r\n", token);
    if (length < 0 || (size_t)length >= sizeof agent->headers || strpbrk(token, "\r\n"))
        return ig_fail(err, IG_INVALID, "--identity: its token is none");
    if (ig_minisign_public_read(agent->key, ig_str_view(key), err) != IG_OK) return err->code;
    const struct ig_client_options client = {.headers = agent->headers,
                                             .ca_file = agent->options.ca,
                                             .call_timeout_ms = 120 * 1000,
                                             .io_timeout_ms = 20 * 1000,
                                             .cancelled = agent->stopping};
    return ig_client_new(&agent->client, server, &client, err);
}

enum ig_code ig_agent_open(struct agent *agent, const struct agent_options *options,
                           const bool _Atomic *stopping, struct ig_err *err)
{
    *agent =
        (struct agent){.options = *options, .dirfd = -1, .flash = {.fd = -1}, .stopping = stopping};
    pthread_mutex_init(&agent->lock, NULL);
    ig_arena_init(&agent->memory, 4096, 1 << 20);
    ig_buf_init(&agent->reply.body, options->slot_bytes);
    if (read_identity(agent, err) != IG_OK ||
        ig_dir_make(&agent->dirfd, IG_FILE_CWD, options->dir, err) != IG_OK ||
        ig_agent_flash_open(&agent->flash, agent->dirfd, options->slot_bytes, err) != IG_OK ||
        read_state(agent, err) != IG_OK || read_key(agent, err) != IG_OK)
        return err->code;
    agent->trial_arena = ig_alloc_aligned(8, AGENT_ARENA_BYTES);
    agent->arena = ig_alloc_aligned(8, AGENT_ARENA_BYTES);
    if (!agent->trial_arena || !agent->arena)
        return ig_fail(err, IG_NO_MEMORY, "no memory for arenas");
    ige_log_open(&agent->log, &agent->flash.log);
    ig_agent_start(agent);
    return IG_OK;
}

void ig_agent_close(struct agent *agent)
{
    if (agent->ready) ig_agent_flush(agent);
    if (agent->client) ig_client_free(agent->client);
    ig_agent_flash_close(&agent->flash);
    ig_file_close(&agent->dirfd);
    ig_buf_deinit(&agent->reply.body);
    ig_free(agent->sketches);
    ig_free(agent->row);
    ig_free(agent->trial_arena);
    ig_free(agent->arena);
    ig_arena_deinit(&agent->memory);
    pthread_mutex_destroy(&agent->lock);
}
