/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_OIP_MEMORY_H
#define IG_API_OIP_MEMORY_H

/* The shared memory extension of the Open Inference Protocol: tensors that lie in regions which
 * their client registered (services/deploy/regions.h). Shared by the HTTP and the gRPC front. */

#include "api/oip_model.h"

/* For the handlers of regions. UNSUPPORTED when shared memory is off. */
enum ig_code ig_oip_memory_register(struct ig_call *call, const struct ig_region *region);
enum ig_code ig_oip_memory_unregister(struct ig_call *call, struct ig_str name); /* empty: all */
/* Of the caller; none when it is off. */
enum ig_code ig_oip_memory_list(struct ig_regions_list *out, struct ig_call *call,
                                struct ig_str name);
/* There is no CUDA: INVALID, and NOT_FOUND unless the name is empty. */
enum ig_code ig_oip_memory_register_cuda(struct ig_call *call, struct ig_str name);
enum ig_code ig_oip_memory_find_cuda(struct ig_call *call, struct ig_str name);

/* The elements of the inputs that are in shared memory, copied into the arena. */
enum ig_code ig_oip_memory_take(struct ig_call *call, struct ig_oip_request *request);
/* Writes an output to the memory that was asked for; nothing for one that goes into the reply. */
enum ig_code ig_oip_memory_put(struct ig_call *call, const struct ig_oip_given *given);

#endif
