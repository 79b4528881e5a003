/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as S3's reply: what is given out stays within its bounds. */
#include "stores/s3_xml.h"

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool look(void *context, const struct ig_s3_element *element)
{
    IG_ASSERT(element->name.len > 0 && element->name.len <= IG_S3_XML_NAME_MAX);
    IG_ASSERT(element->parent.len <= IG_S3_XML_NAME_MAX);
    IG_ASSERT(element->text.len <= IG_S3_XML_TEXT_MAX);
    for (size_t i = 0; i < element->text.len; i++) *(unsigned *)context += element->text.ptr[i] < 0;
    return *(unsigned *)context < 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    unsigned count = 0;
    enum ig_code code =
        ig_s3_xml_walk((struct ig_str){(const char *)data, size}, look, &count, &err);
    IG_ASSERT(code == err.code);
    return 0;
}
