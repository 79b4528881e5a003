/* SPDX-License-Identifier: Apache-2.0 */
/* Each setting collects the text of its traces; what is complete becomes a block for the writer.
 * The lock guards everything but the files, which are the writer's. */
#include "services/deploy/traces.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCKS_MAX = 64, ID_MAX = 128, PARTS_MAX = 32, EARLY_BYTES = 256 << 10 };

static const char NEW_FILE[] = "trace.json.new"; /* of a numbered one */

static const struct ig_trace_setting DEFAULTS = {{[IG_TRACE_RATE] = 1000, [IG_TRACE_COUNT] = -1}};

struct setting {
    struct ig_trace_setting now;
    bool own[IG_TRACE_FIELDS_COUNT]; /* else as that of all, or the default */
    uint64_t number;                 /* no other has it */
    uint64_t calls, awaited;         /* awaited: sampled and not noted yet */
    struct ig_buf text;              /* of traces that are not written yet */
    int64_t in_text;
};

struct block {
    struct ig_buf text;
    int64_t count;
    bool numbered;
};

struct ig_traces {
    int dirfd, files_fd; /* -1 until there is a file */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_bool on;
    struct setting all;
    struct ig_map models; /* struct setting */
    uint64_t last_id, last_setting, dropped;
    struct block blocks[BLOCKS_MAX]; /* a ring */
    uint64_t blocks_put, blocks_written;
    bool ending;
    uint64_t thread;
    bool has_thread;
    uint64_t next_file; /* the writer's */
    bool file_begun;
};

/* ---- files ---- */

static enum ig_code fail_file(struct ig_err *err)
{
    return ig_fail(err, IG_IO, IG_TRACES_FILE ": %s", strerror(errno));
}

static enum ig_code open_file(int *out, struct ig_traces *traces, const char *name, int flags,
                              struct ig_err *err)
{
    if (traces->files_fd < 0 &&
        ig_dir_make(&traces->files_fd, traces->dirfd, "traces", err) != IG_OK)
        return err->code;
    *out = openat(traces->files_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    return *out < 0 ? fail_file(err) : IG_OK;
}

static enum ig_code write_array(int fd, const char *open, struct ig_str text, struct ig_err *err)
{
    if (ig_file_write_all(fd, open, 1, err) == IG_OK &&
        ig_file_write_all(fd, text.ptr, text.len, err) == IG_OK)
        ig_file_write_all(fd, "]\n", 2, err);
    return err->code;
}

/* Whoever sees it sees all of it. */
static enum ig_code write_numbered(struct ig_traces *traces, struct ig_str text, struct ig_err *err)
{
    char name[32];
    int fd = -1;
    snprintf(name, sizeof name, "trace.json.%llu",
             (unsigned long long)(traces->next_file++ % IG_TRACES_FILES_MAX));
    if (open_file(&fd, traces, NEW_FILE, O_TRUNC, err) == IG_OK &&
        write_array(fd, "[", text, err) == IG_OK &&
        renameat(traces->files_fd, NEW_FILE, traces->files_fd, name) != 0)
        fail_file(err);
    ig_file_close(&fd);
    return err->code;
}

/* Over the array's end, which then stands behind what is new. */
static enum ig_code write_behind(struct ig_traces *traces, struct ig_str text, struct ig_err *err)
{
    bool begun = traces->file_begun;
    int fd = -1;
    if (open_file(&fd, traces, "trace.json", begun ? 0 : O_TRUNC, err) != IG_OK) return err->code;
    off_t end = begun ? lseek(fd, -2, SEEK_END) : 0;
    if (end < 0)
        fail_file(err);
    else if (end + (off_t)text.len > IG_TRACES_FILE_MAX)
        ig_fail(err, IG_TOO_LARGE, IG_TRACES_FILE ": it is full");
    else /* a failed write leaves no array: then it begins again */
        traces->file_begun = write_array(fd, begun ? "," : "[", text, err) == IG_OK;
    ig_file_close(&fd);
    return err->code;
}

static void *run_writer(void *context)
{
    struct ig_traces *traces = context;
    pthread_mutex_lock(&traces->lock);
    while (!traces->ending || traces->blocks_written < traces->blocks_put) {
        if (traces->blocks_written == traces->blocks_put) {
            pthread_cond_wait(&traces->changed, &traces->lock);
            continue;
        }
        struct block *block = &traces->blocks[traces->blocks_written % BLOCKS_MAX];
        struct ig_err err = IG_ERR_INIT;
        pthread_mutex_unlock(&traces->lock);
        (block->numbered ? write_numbered : write_behind)(traces, ig_buf_view(&block->text), &err);
        if (err.code != IG_OK) ig_log_err(IG_LOG_WARN, "traces lost", &err);
        ig_buf_deinit(&block->text);
        pthread_mutex_lock(&traces->lock);
        if (err.code != IG_OK) traces->dropped += (uint64_t)block->count;
        traces->blocks_written++;
        pthread_cond_broadcast(&traces->changed);
    }
    pthread_mutex_unlock(&traces->lock);
    return NULL;
}

/* ---- collecting; below, the lock is held ---- */

static void hand_over(struct ig_traces *traces, struct setting *setting, bool numbered)
{
    if (!setting->in_text) return;
    if (traces->blocks_put - traces->blocks_written == BLOCKS_MAX) {
        traces->dropped += (uint64_t)setting->in_text;
        ig_buf_reset(&setting->text);
    } else {
        traces->blocks[traces->blocks_put++ % BLOCKS_MAX] =
            (struct block){setting->text, setting->in_text, numbered};
        ig_buf_init(&setting->text, IG_TRACES_BLOCK_MAX);
        pthread_cond_broadcast(&traces->changed);
    }
    setting->in_text = 0;
}

static void add_time(struct ig_buf *out, uint64_t id, const char *name, uint64_t ns)
{
    if (!ns) return;
    ig_buf_printf(out, ",{\"id\":%llu,\"timestamps\":[{\"name\":\"%s\",\"ns\":%llu}]}",
                  (unsigned long long)id, name, (unsigned long long)ns);
}

static void add_stage(struct ig_buf *out, uint64_t id, const char *stage, const char *end,
                      uint64_t ns)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%s", stage, end);
    add_time(out, id, name, ns);
}

/* {"id", "model_name", "model_version", "request_id"?, "parent_id"?} */
static void add_head(struct ig_buf *out, uint64_t id, struct ig_str model, int64_t version,
                     struct ig_str request_id)
{
    struct ig_json_out json;
    ig_json_out_init(&json, out);
    ig_json_out_object(&json);
    ig_json_out_kv_i64(&json, "id", (int64_t)id);
    ig_json_out_kv_str(&json, "model_name", model);
    ig_json_out_kv_i64(&json, "model_version", version);
    if (request_id.len > ID_MAX) request_id.len = ID_MAX;
    if (request_id.len) ig_json_out_kv_str(&json, "request_id", request_id);
    ig_json_out_object_end(&json);
}

static void add_compute(struct ig_buf *out, uint64_t id, const struct ig_trace *trace,
                        const struct ig_decision *decision)
{
    uint64_t start_ns = trace->received_ns + decision->before_ns;
    add_time(out, id, "COMPUTE_START", start_ns);
    add_time(out, id, "COMPUTE_INPUT_END", start_ns);
    add_time(out, id, "COMPUTE_OUTPUT_START", start_ns + decision->compute_ns);
}

/* A part of a call that went several ways: a trace below the call's. */
static void add_part(struct ig_buf *out, uint64_t id, uint64_t parent, const struct ig_trace *trace,
                     const struct ig_decision *decision)
{
    struct ig_json_out json;
    uint64_t start_ns = trace->received_ns + decision->before_ns;
    ig_buf_add_char(out, ',');
    ig_json_out_init(&json, out);
    ig_json_out_object(&json);
    ig_json_out_kv_i64(&json, "id", (int64_t)id);
    ig_json_out_kv_str(&json, "model_name", decision->model);
    ig_json_out_kv_i64(&json, "model_version", decision->version);
    ig_json_out_kv_i64(&json, "parent_id", (int64_t)parent);
    ig_json_out_object_end(&json);
    add_time(out, id, "REQUEST_START", start_ns);
    add_compute(out, id, trace, decision);
    add_time(out, id, "COMPUTE_END", start_ns + decision->compute_ns);
    add_time(out, id, "REQUEST_END", start_ns + decision->compute_ns);
}

/* A line a tensor: an object but for the id that it begins with. */
void ig_trace_tensor_write(struct ig_buf *out, const struct ig_trace_tensor *tensor)
{
    struct ig_json_out json;
    ig_json_out_init(&json, out);
    ig_json_out_object(&json);
    ig_json_out_kv_str(&json, "activity", ig_str_view(tensor->activity));
    ig_json_out_key(&json, IG_STR("tensor"));
    ig_json_out_object(&json);
    ig_json_out_kv_str(&json, "name", tensor->name);
    ig_json_out_kv_str(&json, "data", tensor->data);
    ig_json_out_kv_str(&json, "shape", tensor->shape);
    ig_json_out_kv_str(&json, "dtype", ig_str_view(tensor->dtype));
    ig_json_out_object_end(&json);
    ig_json_out_object_end(&json);
    ig_buf_add_char(out, '\n');
}

static void add_tensors(struct ig_traces *traces, struct ig_buf *out, uint64_t id,
                        const struct ig_buf *tensors)
{
    struct ig_str rest = ig_buf_view(tensors);
    traces->dropped += tensors->overflowed;
    if (tensors->overflowed) return;
    while (rest.len) {
        struct ig_str line = ig_str_cut(&rest, '\n');
        ig_buf_printf(out, ",{\"id\":%llu,", (unsigned long long)id);
        ig_buf_add(out, line.ptr + 1, line.len - 1);
    }
}

static void add_times(struct ig_traces *traces, struct ig_buf *out, uint64_t id,
                      const struct ig_trace *trace)
{
    const struct ig_decision *first = &trace->decisions[0];
    bool single = trace->decisions_count == 1;
    add_stage(out, id, trace->receive, "START", trace->received_ns);
    add_stage(out, id, trace->receive, "END", trace->taken_ns);
    add_time(out, id, "REQUEST_START", trace->taken_ns);
    add_time(out, id, "QUEUE_START", trace->decoded_ns);
    if (single) add_compute(out, id, trace, first);
    if (single) add_time(out, id, "COMPUTE_END", trace->done_ns);
    for (size_t i = 0; !single && i < trace->decisions_count && i < PARTS_MAX; i++)
        add_part(out, ++traces->last_id, id, trace, &trace->decisions[i]);
    add_time(out, id, "REQUEST_END", trace->done_ns);
    if (!trace->sent_ns) return;
    add_stage(out, id, trace->send, "START", trace->done_ns);
    add_stage(out, id, trace->send, "END", trace->sent_ns);
}

static void add_trace(struct ig_traces *traces, struct ig_buf *out, const struct ig_trace *trace)
{
    const struct ig_decision *first = &trace->decisions[0];
    uint64_t id = ++traces->last_id;
    add_head(out, id, first->deployment, first->version, trace->request_id);
    if (trace->sample.level & IG_TRACE_TIMESTAMPS) add_times(traces, out, id, trace);
    if (trace->tensors) add_tensors(traces, out, id, trace->tensors);
}

/* Whether this call of a setting's is traced. */
static bool sample(struct setting *setting)
{
    int64_t *values = setting->now.values;
    if (!values[IG_TRACE_LEVEL] || !values[IG_TRACE_COUNT]) return false;
    if (++setting->calls % (uint64_t)values[IG_TRACE_RATE]) return false;
    if (values[IG_TRACE_COUNT] > 0) values[IG_TRACE_COUNT]--;
    return true;
}

static void collect(struct ig_traces *traces, struct setting *setting, const struct ig_trace *trace)
{
    int64_t frequency = setting->now.values[IG_TRACE_LOG_FREQUENCY];
    size_t before = setting->text.len;
    if (setting->in_text) ig_buf_add_char(&setting->text, ',');
    add_trace(traces, &setting->text, trace);
    if (setting->text.overflowed) {
        ig_buf_deinit(&setting->text);
        ig_buf_init(&setting->text, IG_TRACES_BLOCK_MAX);
        traces->dropped += (uint64_t)setting->in_text + 1;
        setting->in_text = 0;
        return;
    }
    setting->in_text++;
    size_t most = setting->text.len - before; /* the next is about as long */
    bool off = !setting->now.values[IG_TRACE_LEVEL];
    bool last = (off || !setting->now.values[IG_TRACE_COUNT]) && !setting->awaited;
    bool full = setting->text.len + 2 * most > (frequency ? IG_TRACES_BLOCK_MAX : EARLY_BYTES);
    if (last || full || (frequency && setting->in_text >= frequency))
        hand_over(traces, setting, last || frequency);
}

static struct setting *setting_of(struct ig_traces *traces, struct ig_str deployment)
{
    struct setting *own = deployment.len ? ig_map_get(&traces->models, deployment) : NULL;
    return own ? own : &traces->all;
}

/* ---- settings ---- */

/* What is not its own is another's; what it collected is handed over as it was meant. */
static void renew(struct ig_traces *traces, struct setting *setting,
                  const struct ig_trace_setting *others)
{
    hand_over(traces, setting, setting->now.values[IG_TRACE_LOG_FREQUENCY] != 0);
    for (int i = 0; i < IG_TRACE_FIELDS_COUNT; i++)
        if (!setting->own[i]) setting->now.values[i] = others->values[i];
    setting->calls = 0;
}

static void apply(struct ig_traces *traces, struct setting *setting,
                  const struct ig_trace_change *change, const struct ig_trace_setting *others)
{
    hand_over(traces, setting, setting->now.values[IG_TRACE_LOG_FREQUENCY] != 0);
    for (int i = 0; i < IG_TRACE_FIELDS_COUNT; i++) {
        if (change->how[i] != IG_TRACE_KEEP) setting->own[i] = change->how[i] == IG_TRACE_SET;
        if (change->how[i] == IG_TRACE_SET) setting->now.values[i] = change->values[i];
    }
    renew(traces, setting, others);
}

static void free_setting(struct setting *setting)
{
    ig_buf_deinit(&setting->text);
    ig_free(setting);
}

static struct setting *make_own(struct ig_traces *traces, struct ig_str deployment,
                                struct ig_err *err)
{
    struct setting *own = ig_map_get(&traces->models, deployment);
    if (own) return own;
    own = ig_zalloc(sizeof *own);
    if (own) ig_buf_init(&own->text, IG_TRACES_BLOCK_MAX);
    if (own) own->number = ++traces->last_setting;
    if (own && ig_map_put(&traces->models, deployment, own)) return own;
    if (own) free_setting(own);
    ig_fail(err, IG_EXHAUSTED, "model '%.*s': %d models have trace settings, as many as may",
            (int)(deployment.len > 64 ? 64 : deployment.len), deployment.ptr, IG_TRACES_MODELS_MAX);
    return NULL;
}

static void drop_if_empty(struct ig_traces *traces, struct ig_str deployment, struct setting *own)
{
    for (int i = 0; i < IG_TRACE_FIELDS_COUNT; i++)
        if (own->own[i]) return;
    ig_map_remove(&traces->models, deployment);
    free_setting(own);
}

static void find_whether_on(struct ig_traces *traces)
{
    struct ig_str key;
    void *value;
    size_t at = 0;
    bool on = traces->all.now.values[IG_TRACE_LEVEL] != 0;
    while (ig_map_each(&traces->models, &at, &key, &value))
        on = on || ((struct setting *)value)->now.values[IG_TRACE_LEVEL];
    atomic_store(&traces->on, on);
}

enum ig_code ig_traces_update(struct ig_traces *traces, struct ig_str deployment,
                              const struct ig_trace_change *change, struct ig_err *err)
{
    struct ig_str key;
    void *value;
    size_t at = 0;
    pthread_mutex_lock(&traces->lock);
    if (deployment.len) {
        struct setting *own = make_own(traces, deployment, err);
        if (own) {
            apply(traces, own, change, &traces->all.now);
            drop_if_empty(traces, deployment, own);
        }
    } else {
        apply(traces, &traces->all, change, &DEFAULTS);
        while (ig_map_each(&traces->models, &at, &key, &value))
            renew(traces, value, &traces->all.now);
    }
    find_whether_on(traces);
    pthread_mutex_unlock(&traces->lock);
    return err->code;
}

void ig_traces_get(struct ig_trace_setting *out, struct ig_traces *traces, struct ig_str deployment)
{
    pthread_mutex_lock(&traces->lock);
    *out = setting_of(traces, deployment)->now;
    pthread_mutex_unlock(&traces->lock);
}

/* ---- noting ---- */

bool ig_traces_on(const struct ig_traces *traces)
{
    return traces && atomic_load_explicit(&traces->on, memory_order_relaxed);
}

struct ig_trace_sample ig_traces_sample(struct ig_traces *traces, struct ig_str deployment)
{
    struct ig_trace_sample out = {0};
    pthread_mutex_lock(&traces->lock);
    struct setting *setting = setting_of(traces, deployment);
    if (sample(setting)) {
        out = (struct ig_trace_sample){setting->now.values[IG_TRACE_LEVEL], setting->number};
        setting->awaited++;
    }
    pthread_mutex_unlock(&traces->lock);
    return out;
}

void ig_traces_note(struct ig_traces *traces, const struct ig_trace *trace)
{
    pthread_mutex_lock(&traces->lock);
    struct setting *setting = setting_of(traces, trace->decisions[0].deployment);
    /* The deployment may have lost its own setting, or got one, since it was sampled. */
    if (setting->number != trace->sample.setting && traces->all.number == trace->sample.setting)
        setting = &traces->all;
    if (setting->number == trace->sample.setting) setting->awaited--;
    collect(traces, setting, trace);
    pthread_mutex_unlock(&traces->lock);
}

void ig_traces_flush(struct ig_traces *traces)
{
    pthread_mutex_lock(&traces->lock);
    uint64_t until = traces->blocks_put;
    while (traces->blocks_written < until) pthread_cond_wait(&traces->changed, &traces->lock);
    pthread_mutex_unlock(&traces->lock);
}

uint64_t ig_traces_dropped(struct ig_traces *traces)
{
    if (!traces) return 0;
    pthread_mutex_lock(&traces->lock);
    uint64_t dropped = traces->dropped;
    pthread_mutex_unlock(&traces->lock);
    return dropped;
}

/* ---- life ---- */

enum ig_code ig_traces_open(struct ig_traces **out, int dirfd, struct ig_err *err)
{
    struct ig_traces *traces = ig_zalloc(sizeof *traces);
    if (!traces) return ig_fail(err, IG_NO_MEMORY, "traces");
    traces->dirfd = dirfd;
    traces->files_fd = -1;
    traces->all.now = DEFAULTS;
    ig_buf_init(&traces->all.text, IG_TRACES_BLOCK_MAX);
    ig_map_init(&traces->models, IG_TRACES_MODELS_MAX);
    pthread_mutex_init(&traces->lock, NULL);
    pthread_cond_init(&traces->changed, NULL);
    traces->has_thread =
        ig_thread_start(&traces->thread, "traces", run_writer, traces, err) == IG_OK;
    if (!traces->has_thread) {
        ig_traces_close(traces);
        return err->code;
    }
    *out = traces;
    return IG_OK;
}

void ig_traces_close(struct ig_traces *traces)
{
    struct ig_str key;
    void *value;
    size_t at = 0;
    if (!traces) return;
    const struct ig_trace_change nothing = {0};
    struct ig_err err = IG_ERR_INIT;
    ig_traces_update(traces, IG_STR(""), &nothing, &err); /* hands over what is left */
    pthread_mutex_lock(&traces->lock);
    traces->ending = true;
    pthread_cond_broadcast(&traces->changed);
    pthread_mutex_unlock(&traces->lock);
    if (traces->has_thread) ig_thread_join(traces->thread);
    while (ig_map_each(&traces->models, &at, &key, &value)) free_setting(value);
    ig_map_deinit(&traces->models);
    ig_buf_deinit(&traces->all.text);
    pthread_cond_destroy(&traces->changed);
    pthread_mutex_destroy(&traces->lock);
    ig_file_close(&traces->files_fd);
    ig_free(traces);
}
