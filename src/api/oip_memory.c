/* SPDX-License-Identifier: Apache-2.0 */
/* Shared memory over HTTP, and what both fronts do with it. A request's tensors in it are bounded
 * as a body is. */
#include "api/oip_memory.h"

#include "api/route.h"

#include <string.h>

enum { CALL_BYTES_MAX = 64 << 20, SHOWN_MAX = 64 };

static int shown(struct ig_str text)
{
    return (int)(text.len > SHOWN_MAX ? SHOWN_MAX : text.len);
}

static struct ig_str owner_of(const struct ig_call *call)
{
    return ig_str_view(call->who.id);
}

static enum ig_code fail_off(struct ig_call *call)
{
    return ig_fail(&call->err, IG_UNSUPPORTED,
                   "shared memory is off (setting shared_memory); send the tensors in the request");
}

/* ---- regions ---- */

enum ig_code ig_oip_memory_register(struct ig_call *call, const struct ig_region *region)
{
    if (!call->app->regions) return fail_off(call);
    return ig_regions_add(call->app->regions, owner_of(call), region, &call->err);
}

enum ig_code ig_oip_memory_unregister(struct ig_call *call, struct ig_str name)
{
    if (!call->app->regions) return fail_off(call);
    ig_regions_remove(call->app->regions, owner_of(call), name);
    return IG_OK;
}

enum ig_code ig_oip_memory_list(struct ig_regions_list *out, struct ig_call *call,
                                struct ig_str name)
{
    *out = (struct ig_regions_list){0};
    if (!call->app->regions) return name.len ? fail_off(call) : IG_OK;
    return ig_regions_list(out, call->app->regions, owner_of(call), name, call->arena, &call->err);
}

enum ig_code ig_oip_memory_register_cuda(struct ig_call *call, struct ig_str name)
{
    return ig_fail(&call->err, IG_INVALID,
                   "failed to register CUDA shared memory region: '%.*s', GPUs not supported",
                   shown(name), name.ptr);
}

enum ig_code ig_oip_memory_find_cuda(struct ig_call *call, struct ig_str name)
{
    if (!name.len) return IG_OK;
    return ig_fail(&call->err, IG_NOT_FOUND, "Unable to find cuda shared memory region: '%.*s'",
                   shown(name), name.ptr);
}

enum ig_code ig_oip_memory_status(struct ig_call *call)
{
    struct ig_regions_list list;
    struct ig_json_out out;
    if (ig_oip_memory_list(&list, call, call->params[0]) != IG_OK) return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_array(&out);
    for (size_t i = 0; i < list.count; i++) {
        ig_json_out_object(&out);
        ig_json_out_kv_str(&out, "name", list.items[i].name);
        ig_json_out_kv_str(&out, "key", list.items[i].key);
        ig_json_out_key(&out, IG_STR("offset"));
        ig_json_out_u64(&out, list.items[i].offset);
        ig_json_out_key(&out, IG_STR("byte_size"));
        ig_json_out_u64(&out, list.items[i].size_bytes);
        ig_json_out_object_end(&out);
    }
    ig_json_out_array_end(&out);
    return IG_OK;
}

static enum ig_code read_region(struct ig_region *out, struct ig_call *call)
{
    struct ig_json json;
    bool sized = false;
    *out = (struct ig_region){.name = call->params[0]};
    ig_json_init(&json, call->exchange->body, call->arena, &call->err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "the body")) return call->err.code;
    while (ig_json_member(&json)) {
        if (ig_str_is(json.text, "key"))
            ig_json_string(&json, &out->key, "key");
        else if (ig_str_is(json.text, "offset"))
            ig_json_u64(&json, &out->offset, "offset");
        else if (ig_str_is(json.text, "byte_size"))
            sized = ig_json_u64(&json, &out->size_bytes, "byte_size");
        else
            ig_json_skip(&json);
        if (call->err.code != IG_OK) return call->err.code;
    }
    if (call->err.code == IG_OK) (void)ig_json_next(&json); /* nothing may follow */
    if (call->err.code != IG_OK || (out->key.ptr && sized)) return call->err.code;
    return ig_fail(&call->err, IG_INVALID, "%s: missing", sized ? "key" : "byte_size");
}

enum ig_code ig_oip_memory_add(struct ig_call *call)
{
    struct ig_region region;
    if (read_region(&region, call) != IG_OK) return call->err.code;
    return ig_oip_memory_register(call, &region);
}

enum ig_code ig_oip_memory_remove(struct ig_call *call)
{
    return ig_oip_memory_unregister(call, call->params[0]);
}

enum ig_code ig_oip_memory_cuda_status(struct ig_call *call)
{
    if (ig_oip_memory_find_cuda(call, call->params[0]) != IG_OK) return call->err.code;
    call->exchange->content_type = "application/json";
    ig_buf_add_cstr(&call->exchange->reply, "[]");
    return IG_OK;
}

enum ig_code ig_oip_memory_cuda_add(struct ig_call *call)
{
    return ig_oip_memory_register_cuda(call, call->params[0]);
}

/* There is nothing to remove; clients that tidy up before they begin ask for it. */
enum ig_code ig_oip_memory_cuda_remove(struct ig_call *call)
{
    (void)call;
    return IG_OK;
}

/* ---- tensors ---- */

static enum ig_code take(struct ig_call *call, struct ig_oip_tensor *tensor)
{
    const struct ig_region_part *part = &tensor->memory;
    char *bytes = ig_arena_alloc(call->arena, part->size_bytes + 1);
    if (!bytes) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
    if (ig_regions_read(bytes, call->app->regions, owner_of(call), part, &call->err) == IG_OK)
        return ig_oip_tensor_take(tensor, (struct ig_str){bytes, part->size_bytes}, call->arena,
                                  &call->err);
    ig_err_prefix(&call->err, "input '%.*s'", shown(tensor->name), tensor->name.ptr);
    return call->err.code;
}

enum ig_code ig_oip_memory_take(struct ig_call *call, struct ig_oip_request *request)
{
    uint64_t bytes = ig_oip_memory_bytes(request);
    if (bytes > CALL_BYTES_MAX)
        return ig_fail(&call->err, IG_TOO_LARGE,
                       "shared_memory_byte_size: %llu over all inputs, at most %d in one call",
                       (unsigned long long)bytes, CALL_BYTES_MAX);
    for (size_t i = 0; i < request->inputs_count; i++) {
        struct ig_oip_tensor *tensor = &request->inputs[i];
        if (!tensor->memory.region.ptr) continue;
        if (!call->app->regions) return fail_off(call);
        if (take(call, tensor) != IG_OK) return call->err.code;
    }
    return IG_OK;
}

enum ig_code ig_oip_memory_put(struct ig_call *call, const struct ig_oip_given *given)
{
    struct ig_buf bytes;
    if (!given->asked || !given->asked->memory.region.ptr) return IG_OK;
    if (!call->app->regions) return fail_off(call);
    struct ig_region_part part = given->asked->memory;
    struct ig_str name = given->asked->name;
    ig_buf_init(&bytes, call->exchange->reply.max_bytes);
    ig_oip_write_raw(&bytes, call->state, given);
    if (bytes.overflowed)
        ig_fail(&call->err, IG_TOO_LARGE, "the answer exceeds the cap of a response");
    else if (bytes.len > part.size_bytes)
        ig_fail(&call->err, IG_INVALID,
                "output '%.*s': shared_memory_byte_size is %llu, it has %zu bytes", shown(name),
                name.ptr, (unsigned long long)part.size_bytes, bytes.len);
    part.size_bytes = bytes.len;
    if (call->err.code == IG_OK &&
        ig_regions_write(call->app->regions, owner_of(call), &part, bytes.ptr, &call->err) != IG_OK)
        ig_err_prefix(&call->err, "output '%.*s'", shown(name), name.ptr);
    ig_buf_deinit(&bytes);
    return call->err.code;
}
