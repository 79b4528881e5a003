/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_PMML_PMML_XML_H
#define IG_FORMATS_PMML_PMML_XML_H

/* XML text as a tree of elements, in an arena. A document type is refused, so there are no entities
 * but XML's five; depth and size are capped. Text between elements is dropped, but that of elements
 * without children is kept. Thread rule: pure. */

#include "base/arena.h"
#include "base/err.h"

enum { PMML_XML_DEPTH_MAX = 4096 };

struct pmml_attribute {
    struct ig_str name, value;
};

struct pmml_element {
    struct ig_str name;
    struct ig_str text; /* trimmed; of an element without children */
    const struct pmml_attribute *attributes;
    uint32_t attributes_count;
    uint32_t line;
    size_t at, bytes; /* in the document, with all that it holds */
    struct pmml_element *parent, *first, *last, *next;
};

/* The root, in `arena`, whose cap bounds what a document may hold. The message has the line. */
enum ig_code pmml_xml_parse(const struct pmml_element **out, struct ig_str xml,
                            struct ig_arena *arena, struct ig_err *err);
/* ptr NULL when the element has no such attribute. */
struct ig_str pmml_xml_get(const struct pmml_element *element, const char *name);
bool pmml_xml_is(const struct pmml_element *element, const char *name);
/* Whether both say the same, with all that they hold; the order of attributes counts. */
bool pmml_xml_equal(const struct pmml_element *a, const struct pmml_element *b);
/* The first child of the name, or NULL; also of a NULL element. */
const struct pmml_element *pmml_xml_child(const struct pmml_element *element, const char *name);
/* The next one behind `element` of the same name, or NULL. */
const struct pmml_element *pmml_xml_next(const struct pmml_element *element);

#endif
