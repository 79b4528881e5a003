/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_INFER_GRPC_PRIV_H
#define IG_API_INFER_GRPC_PRIV_H

/* The methods of inference.GRPCInferenceService that stand in files of their own. */

#include "api/call.h"

/* Writes the reply's fields, or fails the call. */
typedef enum ig_code ig_grpc_handler(struct ig_call *call, struct ig_str message,
                                     struct ig_buf *out);

ig_grpc_handler ig_grpc_memory_status;
ig_grpc_handler ig_grpc_memory_register;
ig_grpc_handler ig_grpc_memory_unregister;
ig_grpc_handler ig_grpc_memory_cuda_status;
ig_grpc_handler ig_grpc_memory_cuda_register;
ig_grpc_handler ig_grpc_memory_cuda_unregister;
ig_grpc_handler ig_grpc_log_settings;
ig_grpc_handler ig_grpc_trace_setting;

#endif
