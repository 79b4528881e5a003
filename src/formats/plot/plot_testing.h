/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_PLOT_PLOT_TESTING_H
#define IG_FORMATS_PLOT_PLOT_TESTING_H

/* For tests: a strict reader of the XML that the plots may write (XML 1.0 without declarations,
 * comments, sections and processing instructions). */

#include "base/str.h"

#include <string.h>

enum { XML_DEPTH = 16, XML_ATTRIBUTES = 12 };

struct xml {
    struct ig_str rest;
    struct ig_str open[XML_DEPTH];
    int depth;
    size_t elements;
};

static inline bool xml_is_name(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == ':';
}

static inline void xml_skip(struct xml *xml, size_t count)
{
    xml->rest = (struct ig_str){xml->rest.ptr + count, xml->rest.len - count};
}

static inline bool xml_take(struct xml *xml, const char *text)
{
    if (!ig_str_starts(xml->rest, ig_str_view(text))) return false;
    xml_skip(xml, strlen(text));
    return true;
}

static inline struct ig_str xml_name(struct xml *xml)
{
    struct ig_str name = {xml->rest.ptr, 0};
    while (name.len < xml->rest.len && xml_is_name(xml->rest.ptr[name.len])) name.len++;
    xml_skip(xml, name.len);
    return name;
}

/* A character or one of the five entities; false at `end`, at a bare markup character and at what
 * XML forbids. */
static inline bool xml_character(struct xml *xml, char end)
{
    static const char *const ENTITIES[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};
    if (!xml->rest.len || xml->rest.ptr[0] == end || xml->rest.ptr[0] == '<') return false;
    if (xml->rest.ptr[0] == '&') {
        for (size_t i = 0; i < 5; i++)
            if (xml_take(xml, ENTITIES[i])) return true;
        return false;
    }
    unsigned char byte = (unsigned char)xml->rest.ptr[0];
    if (byte < 0x20 && byte != '\n') return false;
    size_t length = ig_str_utf8_length(xml->rest);
    if (length == 3 && memcmp(xml->rest.ptr, "\xef\xbf", 2) == 0 &&
        (unsigned char)xml->rest.ptr[2] >= 0xBE)
        return false; /* U+FFFE, U+FFFF */
    xml_skip(xml, length);
    return length > 0;
}

static inline bool xml_attributes(struct xml *xml)
{
    struct ig_str names[XML_ATTRIBUTES];
    size_t count = 0;
    while (xml_take(xml, " ")) {
        struct ig_str name = xml_name(xml);
        if (!name.len || count == XML_ATTRIBUTES || !xml_take(xml, "=\"")) return false;
        for (size_t i = 0; i < count; i++)
            if (ig_str_eq(names[i], name)) return false;
        names[count++] = name;
        while (xml_character(xml, '"')) {
        }
        if (!xml_take(xml, "\"")) return false;
    }
    return true;
}

static inline bool xml_tag(struct xml *xml)
{
    if (xml_take(xml, "</")) {
        struct ig_str name = xml_name(xml);
        return xml->depth && ig_str_eq(xml->open[--xml->depth], name) && xml_take(xml, ">");
    }
    if (!xml_take(xml, "<")) return false;
    struct ig_str name = xml_name(xml);
    xml->elements++;
    if (!name.len || !xml_attributes(xml)) return false;
    if (xml_take(xml, "/>")) return true;
    if (xml->depth == XML_DEPTH || !xml_take(xml, ">")) return false;
    xml->open[xml->depth++] = name;
    return true;
}

/* Whether the text is one element, well-formed, with nothing but a line end behind it. */
static inline bool xml_is_well_formed(struct ig_str text)
{
    struct xml xml = {.rest = text};
    if (!ig_str_starts(text, IG_STR("<svg "))) return false;
    do {
        while (xml.depth && xml_character(&xml, '<')) {
        }
        if (!xml_tag(&xml)) return false;
    } while (xml.depth);
    return xml_take(&xml, "\n") && !xml.rest.len;
}

#endif
