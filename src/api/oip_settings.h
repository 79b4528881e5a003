/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_OIP_SETTINGS_H
#define IG_API_OIP_SETTINGS_H

/* The settings of the trace and logging extensions of the Open Inference Protocol, as requests
 * change them over HTTP and gRPC: names with values, every value as text. */

#include "api/call.h"

enum { IG_OIP_SETTINGS_MAX = 16, IG_OIP_SETTING_VALUES_MAX = 4 };

struct ig_oip_setting {
    struct ig_str name;
    struct ig_str values[IG_OIP_SETTING_VALUES_MAX];
    size_t count; /* 0: null, which clears it */
};
struct ig_oip_settings {
    struct ig_oip_setting items[IG_OIP_SETTINGS_MAX];
    size_t count;
    struct ig_str model; /* whose; empty: of all */
};

/* {NAME: null, true, 1, "text" or ["text", ...]}; an empty body changes nothing. */
enum ig_code ig_oip_settings_read(struct ig_oip_settings *out, struct ig_str body,
                                  struct ig_arena *arena, struct ig_err *err);
/* The one value of a setting that takes one; INVALID for several. */
enum ig_code ig_oip_setting_flag(bool *out, const struct ig_oip_setting *setting,
                                 struct ig_err *err);
/* A whole number of that range. */
enum ig_code ig_oip_setting_number(int64_t *out, const struct ig_oip_setting *setting, int64_t min,
                                   int64_t max, struct ig_err *err);

/* Changes what is logged, all of it or nothing. UNSUPPORTED or INVALID names the setting. */
enum ig_code ig_oip_logging_update(struct ig_call *call, const struct ig_oip_settings *settings);

/* Changes what is traced of settings->model, of all when that is empty; all of it or nothing. */
enum ig_code ig_oip_trace_update(struct ig_call *call, const struct ig_oip_settings *settings);
/* What is traced, in the arena. NOT_FOUND when there is no such deployment. */
enum ig_code ig_oip_trace_tell(struct ig_oip_settings *out, struct ig_call *call,
                               struct ig_str model);
struct ig_infer;
/* An answer is there: decides whether it is traced, and keeps its tensors when they are. */
void ig_oip_trace_answered(struct ig_call *call, struct ig_infer *infer);
/* Notes it when it is; `send` NULL: when it was sent is not known. */
void ig_oip_trace_note(struct ig_call *call, const char *receive, const char *send);

#endif
