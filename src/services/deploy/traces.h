/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_TRACES_H
#define IG_SERVICES_DEPLOY_TRACES_H

/* Traces of answered calls: when each was received, decoded, computed and sent, as files in the
 * form of Triton's server (docs/user_guide/trace.md), a JSON array of objects that share a trace's
 * id. There is one setting for all deployments and one for each that has values of its own.
 *
 * Files are traces/trace.json below the data directory, a whole array at any time, and with a
 * log_frequency, or when trace_count is reached, traces/trace.json.0 and so on. All names are ours;
 * both are bounded, the numbered ones by beginning again at 0.
 *
 * Thread-safe. A note is formatted under a lock and written by a thread of its own; when that falls
 * behind, notes are dropped and counted, nothing waits. */

#include "base/err.h"
#include "services/deploy/decision_log.h"

#include <stdbool.h>

enum {
    IG_TRACES_MODELS_MAX = 64,      /* deployments with a setting of their own */
    IG_TRACES_FILES_MAX = 256,      /* numbered ones */
    IG_TRACES_BLOCK_MAX = 4 << 20,  /* bytes of a numbered file; a full one is written early */
    IG_TRACES_FILE_MAX = 256 << 20, /* bytes of trace.json; what comes behind is dropped */
};
#define IG_TRACES_FILE "traces/trace.json"

struct ig_traces;

/* Nothing is made in the directory before the first file is. */
enum ig_code ig_traces_open(struct ig_traces **out, int dirfd, struct ig_err *err);
/* Writes what is left. NULL is allowed. */
void ig_traces_close(struct ig_traces *traces);

enum ig_trace_field {
    IG_TRACE_LEVEL,         /* 0: off; else of IG_TRACE_TIMESTAMPS and IG_TRACE_TENSORS */
    IG_TRACE_RATE,          /* of so many calls one is traced; at least 1 */
    IG_TRACE_COUNT,         /* so many more; -1: without end */
    IG_TRACE_LOG_FREQUENCY, /* traces a numbered file; 0: into trace.json */
    IG_TRACE_FIELDS_COUNT
};
enum { IG_TRACE_TIMESTAMPS = 1, IG_TRACE_TENSORS = 2 };
struct ig_trace_setting {
    int64_t values[IG_TRACE_FIELDS_COUNT];
};
struct ig_trace_change {
    enum { IG_TRACE_KEEP, IG_TRACE_CLEAR, IG_TRACE_SET } how[IG_TRACE_FIELDS_COUNT];
    int64_t values[IG_TRACE_FIELDS_COUNT];
};
/* An empty name is the setting of all. What a deployment's setting leaves open is that of all; a
 * cleared one of all is the default: off, 1000, -1, 0. What was traced so far is written. EXHAUSTED
 * when too many have their own. */
enum ig_code ig_traces_update(struct ig_traces *traces, struct ig_str deployment,
                              const struct ig_trace_change *change, struct ig_err *err);
void ig_traces_get(struct ig_trace_setting *out, struct ig_traces *traces,
                   struct ig_str deployment);

/* Whether anything is traced: NULL traces nothing. Loop-safe, wait-free. */
bool ig_traces_on(const struct ig_traces *traces);

/* An answered call, counted: whether it is traced, and then noted once. */
struct ig_trace_sample {
    int64_t level;    /* 0: it is not traced */
    uint64_t setting; /* that it counts for */
};
struct ig_trace_sample ig_traces_sample(struct ig_traces *traces, struct ig_str deployment);

struct ig_trace_tensor {
    const char *activity; /* "TENSOR_QUEUE_INPUT", "TENSOR_BACKEND_OUTPUT" */
    const char *dtype;    /* "FP32" */
    struct ig_str name;
    struct ig_str shape, data; /* "1,2", "0.5,1" */
};
/* Appends it to the text that a trace's tensors are noted as. */
void ig_trace_tensor_write(struct ig_buf *out, const struct ig_trace_tensor *tensor);

/* Times are of ig_clock_ns; 0: not known, and left out. */
struct ig_trace {
    struct ig_trace_sample sample;
    const char *receive, *send; /* "HTTP_RECV" and "HTTP_SEND" */
    struct ig_str request_id;   /* at most 128 bytes are kept */
    uint64_t received_ns;       /* its head */
    uint64_t taken_ns;          /* all of it: decoding begins */
    uint64_t decoded_ns;        /* ready to be computed, or to wait for a worker */
    uint64_t done_ns;           /* its answer is written */
    uint64_t sent_ns;
    const struct ig_decision *decisions; /* its parts; of several the first are traces below it */
    size_t decisions_count;              /* at least 1 */
    const struct ig_buf *tensors;        /* NULL: none; overflowed: they are counted as dropped */
};
/* Inputs are computed where they lie, so COMPUTE_INPUT_END is COMPUTE_START. */
void ig_traces_note(struct ig_traces *traces, const struct ig_trace *trace);

/* Waits until what is to be written so far is in the files: tests. */
void ig_traces_flush(struct ig_traces *traces);
uint64_t ig_traces_dropped(struct ig_traces *traces); /* NULL: 0 */

#endif
