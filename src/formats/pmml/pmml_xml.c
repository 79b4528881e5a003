/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the tree from expat's events. Names keep no prefix: PMML's elements stand in the default
 * name space, and those of other vocabularies have no meaning here. Owns the parser for the length
 * of a call. */
#include "formats/pmml/pmml_xml.h"

#include "base/mem.h"

#include <expat.h>
#include <string.h>

enum { PIECE_BYTES = 1 << 20, TEXT_MAX = 1 << 16 };

struct building {
    XML_Parser parser;
    struct ig_arena *arena;
    struct ig_err *err;
    struct pmml_element *root, *open;
    uint32_t depth;
    struct ig_buf text; /* since the last tag */
};

static void stop(struct building *b, enum ig_code code, const char *what)
{
    if (b->err->code == IG_OK)
        ig_fail(b->err, code, "line %lu: %s", (unsigned long)XML_GetCurrentLineNumber(b->parser),
                what);
    XML_StopParser(b->parser, XML_FALSE);
}

static bool keep_attributes(struct building *b, struct pmml_element *element, const char **list)
{
    uint32_t count = 0;
    while (list[(size_t)count * 2]) count++;
    struct pmml_attribute *kept = ig_arena_array(b->arena, count + (size_t)1, sizeof *kept);
    for (uint32_t i = 0; kept && i < count; i++) {
        kept[i].name = ig_arena_dup(b->arena, ig_str_view(list[(size_t)i * 2]));
        kept[i].value = ig_arena_dup(b->arena, ig_str_view(list[(size_t)i * 2 + 1]));
    }
    element->attributes = kept;
    element->attributes_count = count;
    return !b->arena->overflowed;
}

static void XMLCALL on_start(void *user, const char *name, const char **attributes)
{
    struct building *b = user;
    struct pmml_element *element = ig_arena_zalloc(b->arena, sizeof *element);
    if (b->depth == PMML_XML_DEPTH_MAX) {
        stop(b, IG_TOO_LARGE, "elements nest deeper than 4096");
        return;
    }
    if (element) element->name = ig_arena_dup(b->arena, ig_str_view(name));
    if (!element || !element->name.ptr || !keep_attributes(b, element, attributes)) {
        stop(b, IG_NO_MEMORY, "the document exceeds its memory");
        return;
    }
    element->line = (uint32_t)XML_GetCurrentLineNumber(b->parser);
    element->at = (size_t)XML_GetCurrentByteIndex(b->parser);
    element->parent = b->open;
    if (!b->open)
        b->root = element;
    else if (b->open->last)
        b->open->last->next = element;
    else
        b->open->first = element;
    if (b->open) b->open->last = element;
    b->open = element;
    b->depth++;
    ig_buf_reset(&b->text);
}

static void XMLCALL on_end(void *user, const char *name)
{
    struct building *b = user;
    struct ig_str text = ig_str_trim(ig_buf_view(&b->text));
    (void)name;
    if (b->err->code != IG_OK) return; /* an empty element ends even where its start was refused */
    if (!b->open->first && text.len) {
        b->open->text = ig_arena_dup(b->arena, text);
        if (!b->open->text.ptr) stop(b, IG_NO_MEMORY, "the document exceeds its memory");
    }
    ig_buf_reset(&b->text);
    b->open->bytes = (size_t)XML_GetCurrentByteIndex(b->parser) +
                     (size_t)XML_GetCurrentByteCount(b->parser) - b->open->at;
    b->open = b->open->parent;
    b->depth--;
}

static void XMLCALL on_text(void *user, const char *text, int length)
{
    struct building *b = user;
    ig_buf_add(&b->text, text, (size_t)length);
    if (b->text.overflowed) stop(b, IG_TOO_LARGE, "more than 65536 bytes of text");
}

static void XMLCALL on_doctype(void *user, const char *name, const char *system_id,
                               const char *public_id, int has_subset)
{
    (void)name, (void)system_id, (void)public_id, (void)has_subset;
    stop(user, IG_UNSUPPORTED, "a document type (DOCTYPE) is not supported");
}

static void parse_all(struct building *b, struct ig_str xml)
{
    for (size_t at = 0; at <= xml.len; at += PIECE_BYTES) {
        size_t left = xml.len - at, piece = left < PIECE_BYTES ? left : PIECE_BYTES;
        bool last = left <= PIECE_BYTES;
        if (XML_Parse(b->parser, xml.ptr + at, (int)piece, last) != XML_STATUS_OK) {
            stop(b, IG_PARSE, XML_ErrorString(XML_GetErrorCode(b->parser)));
            return;
        }
        if (last) return;
    }
}

enum ig_code pmml_xml_parse(const struct pmml_element **out, struct ig_str xml,
                            struct ig_arena *arena, struct ig_err *err)
{
    struct building b = {.arena = arena, .err = err, .parser = XML_ParserCreate(NULL)};
    if (!b.parser) return ig_fail(err, IG_NO_MEMORY, "out of memory");
    ig_buf_init(&b.text, TEXT_MAX);
    XML_SetUserData(b.parser, &b);
    XML_SetElementHandler(b.parser, on_start, on_end);
    XML_SetCharacterDataHandler(b.parser, on_text);
    XML_SetStartDoctypeDeclHandler(b.parser, on_doctype);
    XML_SetParamEntityParsing(b.parser, XML_PARAM_ENTITY_PARSING_NEVER);
    parse_all(&b, xml);
    XML_ParserFree(b.parser);
    ig_buf_deinit(&b.text);
    if (err->code == IG_OK) *out = b.root;
    return err->code;
}

struct ig_str pmml_xml_get(const struct pmml_element *element, const char *name)
{
    for (uint32_t i = 0; element && i < element->attributes_count; i++)
        if (ig_str_is(element->attributes[i].name, name)) return element->attributes[i].value;
    return (struct ig_str){0};
}

bool pmml_xml_is(const struct pmml_element *element, const char *name)
{
    return element && ig_str_is(element->name, name);
}

static bool says_the_same(const struct pmml_element *a, const struct pmml_element *b)
{
    if (!ig_str_eq(a->name, b->name) || !ig_str_eq(a->text, b->text) ||
        a->attributes_count != b->attributes_count)
        return false;
    for (uint32_t i = 0; i < a->attributes_count; i++)
        if (!ig_str_eq(a->attributes[i].name, b->attributes[i].name) ||
            !ig_str_eq(a->attributes[i].value, b->attributes[i].value))
            return false;
    return true;
}

/* Both trees are walked in step. */
bool pmml_xml_equal(const struct pmml_element *a, const struct pmml_element *b)
{
    const struct pmml_element *top = a;
    for (;;) {
        if (!says_the_same(a, b) || !a->first != !b->first) return false;
        if (a->first) {
            a = a->first;
            b = b->first;
            continue;
        }
        for (; a != top && !a->next && !b->next; b = b->parent) a = a->parent;
        if (a == top) return true;
        if (!a->next != !b->next) return false;
        a = a->next;
        b = b->next;
    }
}

const struct pmml_element *pmml_xml_child(const struct pmml_element *element, const char *name)
{
    const struct pmml_element *child = element ? element->first : NULL;
    while (child && !pmml_xml_is(child, name)) child = child->next;
    return child;
}

const struct pmml_element *pmml_xml_next(const struct pmml_element *element)
{
    const struct pmml_element *other = element->next;
    while (other && !ig_str_eq(other->name, element->name)) other = other->next;
    return other;
}
