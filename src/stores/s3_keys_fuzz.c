/* SPDX-License-Identifier: Apache-2.0 */
/* What services answer that give keys. */
#include "stores/s3_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ig_str text = {(const char *)data, size};
    struct ig_err json = IG_ERR_INIT, xml = IG_ERR_INIT;
    struct ig_s3_keys keys;
    if (ig_s3_keys_read_json(&keys, text, &json) == IG_OK)
        IG_ASSERT(keys.access_key[0] && keys.secret_key[0]);
    if (ig_s3_keys_read_xml(&keys, text, &xml) == IG_OK)
        IG_ASSERT(keys.access_key[0] && keys.secret_key[0]);
    return 0;
}
