/* SPDX-License-Identifier: Apache-2.0 */
/* A walk over expat's events. Owns the parser for the length of a call. Thread rule: pure. */
#include "stores/s3_xml.h"

#include <expat.h>
#include <string.h>

enum { XML_MAX = 16 << 20, ELEMENTS_MAX = 200000 };

struct walk {
    XML_Parser parser;
    struct ig_err *err;
    bool (*each)(void *context, const struct ig_s3_element *element);
    void *context;
    char names[IG_S3_XML_DEPTH_MAX][IG_S3_XML_NAME_MAX + 1];
    unsigned depth, elements;
    bool holds, stopped; /* the open element holds others; `each` has enough */
    struct ig_buf text;
};

static void stop(struct walk *walk, enum ig_code code, const char *what)
{
    if (walk->err->code == IG_OK)
        ig_fail_at(walk->err, code, XML_GetCurrentByteIndex(walk->parser), "S3's reply: %s", what);
    XML_StopParser(walk->parser, XML_FALSE);
}

static void XMLCALL on_start(void *user, const char *name, const char **attributes)
{
    struct walk *walk = user;
    size_t length = strlen(name);
    (void)attributes;
    if (walk->depth == IG_S3_XML_DEPTH_MAX || length > IG_S3_XML_NAME_MAX ||
        ++walk->elements > ELEMENTS_MAX) {
        stop(walk, IG_TOO_LARGE, "its elements are too deep, too long or too many");
        return;
    }
    memcpy(walk->names[walk->depth++], name, length + 1);
    walk->holds = false;
    ig_buf_reset(&walk->text);
}

static void XMLCALL on_end(void *user, const char *name)
{
    struct walk *walk = user;
    (void)name;
    if (walk->err->code != IG_OK || walk->stopped) return;
    struct ig_s3_element element = {.name = ig_str_view(walk->names[--walk->depth])};
    if (walk->depth) element.parent = ig_str_view(walk->names[walk->depth - 1]);
    if (!walk->holds) element.text = ig_str_trim(ig_buf_view(&walk->text));
    walk->holds = true;
    if (walk->each(walk->context, &element)) return;
    walk->stopped = true;
    XML_StopParser(walk->parser, XML_FALSE);
}

static void XMLCALL on_text(void *user, const char *text, int length)
{
    struct walk *walk = user;
    bool fits = walk->text.len + (size_t)length <= walk->text.max_bytes;
    ig_buf_add(&walk->text, text, (size_t)length);
    if (!fits) stop(walk, IG_TOO_LARGE, "an element's text is too long");
    if (walk->text.overflowed) stop(walk, IG_NO_MEMORY, "an element's text");
}

static void XMLCALL on_doctype(void *user, const char *name, const char *system_id,
                               const char *public_id, int has_subset)
{
    (void)name, (void)system_id, (void)public_id, (void)has_subset;
    stop(user, IG_PARSE, "it has a document type");
}

enum ig_code ig_s3_xml_walk(struct ig_str xml,
                            bool (*each)(void *context, const struct ig_s3_element *element),
                            void *context, struct ig_err *err)
{
    struct walk walk = {.err = err, .each = each, .context = context};
    if (xml.len > XML_MAX) return ig_fail(err, IG_TOO_LARGE, "S3's reply: %zu bytes", xml.len);
    walk.parser = XML_ParserCreate(NULL);
    if (!walk.parser) return ig_fail(err, IG_NO_MEMORY, "S3's reply");
    ig_buf_init(&walk.text, IG_S3_XML_TEXT_MAX);
    XML_SetUserData(walk.parser, &walk);
    XML_SetElementHandler(walk.parser, on_start, on_end);
    XML_SetCharacterDataHandler(walk.parser, on_text);
    XML_SetStartDoctypeDeclHandler(walk.parser, on_doctype);
    XML_SetParamEntityParsing(walk.parser, XML_PARAM_ENTITY_PARSING_NEVER);
    if (XML_Parse(walk.parser, xml.len ? xml.ptr : "", (int)xml.len, 1) != XML_STATUS_OK &&
        !walk.stopped)
        stop(&walk, IG_PARSE, XML_ErrorString(XML_GetErrorCode(walk.parser)));
    XML_ParserFree(walk.parser);
    ig_buf_deinit(&walk.text);
    return err->code;
}
