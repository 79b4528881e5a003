/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/package.h"
#include "kernels/ort/ort.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ig_package_limits limits = {.file_max_bytes = 1 << 20};
    struct ig_err err = IG_ERR_INIT;
    struct ig_package *package = NULL;
    struct ig_str bytes = {(const char *)data, size};
    IG_ASSERT(ig_ort_setup("ingot", "", &err) == IG_OK); /* what is fuzzed is ours alone */
    if (ig_package_open_bytes(&package, bytes, &limits, &err) == IG_OK)
        IG_ASSERT(package->schema.features_count == package->model->features_count);
    else
        IG_ASSERT(!package && err.message[0]);
    ig_package_free(package);
    return 0;
}
