/* SPDX-License-Identifier: Apache-2.0 */
/* The fuzz target of a format's loader: LOAD, which its file defines before it includes this. */

#include "formats/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever loads has passed ig_model_check and must be fit to be walked. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    struct ig_str bytes = {(const char *)data, size};
    if (LOAD(&model, bytes, &err) == IG_OK) {
        struct ig_err again = IG_ERR_INIT;
        IG_ASSERT(ig_model_check(model, &again) == IG_OK);
        ig_model_free(model);
    } else {
        IG_ASSERT(!model && err.code != IG_OK && err.message[0]);
    }
    return 0;
}
