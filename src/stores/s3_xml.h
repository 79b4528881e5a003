/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_S3_XML_H
#define IG_STORES_S3_XML_H

/* S3's replies, element by element. A document type is refused; depth, names, text and the number
 * of elements are bounded. Thread rule: pure. */

#include "base/err.h"
#include "base/str.h"

enum { IG_S3_XML_DEPTH_MAX = 16, IG_S3_XML_NAME_MAX = 63, IG_S3_XML_TEXT_MAX = 8 << 10 };

struct ig_s3_element {
    struct ig_str parent; /* empty at the root */
    struct ig_str name;
    struct ig_str text; /* empty when it holds elements; all valid during the call only */
};

/* Calls `each` at the end of every element, inner ones first, until it returns false. */
enum ig_code ig_s3_xml_walk(struct ig_str xml,
                            bool (*each)(void *context, const struct ig_s3_element *element),
                            void *context, struct ig_err *err);

#endif
