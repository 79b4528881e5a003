/* SPDX-License-Identifier: Apache-2.0 */
/* Shared memory over gRPC. */
#include "api/infer_grpc_priv.h"
#include "api/oip_memory.h"
#include "api/oip_proto.h"

/* {1 regions: map of name to {1 name, 2 key, 3 offset, 4 byte_size}}. */
static void add_region(struct ig_buf *out, const struct ig_region *region)
{
    size_t entry = ig_proto_open(out, 1);
    ig_proto_add_bytes(out, 1, region->name);
    size_t at = ig_proto_open(out, 2);
    ig_proto_add_bytes(out, 1, region->name);
    ig_proto_add_bytes(out, 2, region->key);
    ig_proto_add_varint(out, 3, region->offset);
    ig_proto_add_varint(out, 4, region->size_bytes);
    ig_proto_close(out, at);
    ig_proto_close(out, entry);
}

enum ig_code ig_grpc_memory_status(struct ig_call *call, struct ig_str message, struct ig_buf *out)
{
    struct ig_region asked;
    struct ig_regions_list list;
    if (ig_oip_proto_region(&asked, message, &call->err) != IG_OK ||
        ig_oip_memory_list(&list, call, asked.name) != IG_OK)
        return call->err.code;
    for (size_t i = 0; i < list.count; i++) add_region(out, &list.items[i]);
    return IG_OK;
}

enum ig_code ig_grpc_memory_register(struct ig_call *call, struct ig_str message,
                                     struct ig_buf *out)
{
    struct ig_region region;
    (void)out;
    if (ig_oip_proto_region(&region, message, &call->err) != IG_OK) return call->err.code;
    return ig_oip_memory_register(call, &region);
}

enum ig_code ig_grpc_memory_unregister(struct ig_call *call, struct ig_str message,
                                       struct ig_buf *out)
{
    struct ig_region region;
    (void)out;
    if (ig_oip_proto_region(&region, message, &call->err) != IG_OK) return call->err.code;
    return ig_oip_memory_unregister(call, region.name);
}

enum ig_code ig_grpc_memory_cuda_status(struct ig_call *call, struct ig_str message,
                                        struct ig_buf *out)
{
    struct ig_region asked;
    (void)out;
    if (ig_oip_proto_region(&asked, message, &call->err) != IG_OK) return call->err.code;
    return ig_oip_memory_find_cuda(call, asked.name);
}

enum ig_code ig_grpc_memory_cuda_register(struct ig_call *call, struct ig_str message,
                                          struct ig_buf *out)
{
    struct ig_region region;
    (void)out;
    if (ig_oip_proto_region(&region, message, &call->err) != IG_OK) return call->err.code;
    return ig_oip_memory_register_cuda(call, region.name);
}

enum ig_code ig_grpc_memory_cuda_unregister(struct ig_call *call, struct ig_str message,
                                            struct ig_buf *out)
{
    (void)call;
    (void)message;
    (void)out;
    return IG_OK;
}
