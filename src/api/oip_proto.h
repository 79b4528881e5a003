/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_OIP_PROTO_H
#define IG_API_OIP_PROTO_H

/* Messages of inference.GRPCInferenceService (grpc_service.proto of Triton's common repository), by
 * hand over base/proto.h. Unknown fields are passed over. */

#include "api/oip.h"
#include "api/oip_settings.h"
#include "base/proto.h"

/* Requests that name a model: {1 name, 2 version}, and those of the repository: {1 repository_name,
 * 2 model_name, 3 parameters}. */
struct ig_oip_names {
    struct ig_str model, version, repository;
    struct ig_str parameter; /* to load: the first that brings a model (ig_oip_brings_model) */
    bool ready;              /* of RepositoryIndexRequest: only what serves */
};
enum ig_code ig_oip_proto_names(struct ig_oip_names *out, struct ig_str message,
                                struct ig_err *err);
enum ig_code ig_oip_proto_repository(struct ig_oip_names *out, struct ig_str message,
                                     struct ig_err *err);
/* SystemSharedMemoryRegisterRequest {1 name, 2 key, 3 offset, 4 byte_size}; those that ask for a
 * status or unregister have only the name. */
enum ig_code ig_oip_proto_region(struct ig_region *out, struct ig_str message, struct ig_err *err);
/* TraceSettingRequest and LogSettingsRequest {1 settings, 2 model_name}; more of the former's
 * values than there may be are refused. */
enum ig_code ig_oip_proto_settings(struct ig_oip_settings *out, struct ig_str message,
                                   struct ig_arena *arena, struct ig_err *err);
/* The model's name where it stands among the first fields, as serializers write it; else empty. For
 * those who cannot read all of a long message yet. */
struct ig_str ig_oip_proto_model(struct ig_str message);
/* ModelInferRequest, with typed or raw contents; every output is binary. INVALID and PARSE name the
 * input. */
enum ig_code ig_oip_proto_infer(struct ig_oip_request *out, struct ig_oip_names *names,
                                struct ig_str message, struct ig_arena *arena, struct ig_err *err);

#endif
