/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "formats/pmml/pmml_xml.h"

#include <string.h>

static const struct pmml_element *parse(const char *xml, struct ig_arena *arena, struct ig_err *err)
{
    const struct pmml_element *root = NULL;
    *err = IG_ERR_INIT;
    ig_arena_init(arena, 4096, 1 << 20);
    enum ig_code code = pmml_xml_parse(&root, ig_str_view(xml), arena, err);
    assert_true((code == IG_OK) == (root != NULL));
    return root;
}

static void test_tree(void **state)
{
    struct ig_arena arena;
    struct ig_err err;
    (void)state;
    const struct pmml_element *root =
        parse("<?xml version='1.0'?>\n<a x='1' y='&lt;&#233;'>\n <b/>text<c> in <![CDATA[<side>]]> "
              "</c><!-- no --><b z=''/></a>",
              &arena, &err);
    assert_non_null(root);
    assert_true(pmml_xml_is(root, "a") && root->line == 2 && !root->parent);
    assert_true(ig_str_is(pmml_xml_get(root, "y"), "<\xc3\xa9"));
    assert_null(pmml_xml_get(root, "z").ptr);
    const struct pmml_element *b = pmml_xml_child(root, "b");
    assert_true(b && b->parent == root && b->attributes_count == 0);
    assert_true(ig_str_is(pmml_xml_child(root, "c")->text, "in <side>"));
    b = pmml_xml_next(b);
    assert_true(b && pmml_xml_get(b, "z").ptr && pmml_xml_get(b, "z").len == 0);
    assert_null(pmml_xml_next(b));
    assert_null(root->text.ptr);
    assert_true(b->bytes == strlen("<b z=''/>"));
    assert_true(root->at == strlen("<?xml version='1.0'?>\n") &&
                root->bytes == b->at + b->bytes + strlen("</a>") - root->at);
    ig_arena_deinit(&arena);
}

static void test_equality(void **state)
{
    static const char *const others[] = {
        "<a><b x='2'/><c>t<!-- --></c></a>",
        "<a><b x='1'/><c>u</c></a>",
        "<a><b x='1'/></a>",
        "<a><b x='1'/><c>t</c><d/></a>",
        "<a><b x='1' y=''/><c>t</c></a>",
        "<a><b x='1'><e/></b><c>t</c></a>",
        "<a><c>t</c><b x='1'/></a>",
    };
    struct ig_arena arena, other_arena;
    struct ig_err err;
    (void)state;
    const struct pmml_element *root =
        parse("<r><a><b x='1'/><c>t</c></a><a> <b x='1'/> <c> t </c></a><a/></r>", &arena, &err);
    const struct pmml_element *a = root->first, *same = a->next;
    assert_true(pmml_xml_equal(a, a) && pmml_xml_equal(a, same) && pmml_xml_equal(same, a));
    assert_false(pmml_xml_equal(a, same->next) || pmml_xml_equal(same->next, a));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const struct pmml_element *other = parse(others[i], &other_arena, &err);
        if (pmml_xml_equal(a, other) || pmml_xml_equal(other, a)) fail_msg("%s", others[i]);
        ig_arena_deinit(&other_arena);
    }
    ig_arena_deinit(&arena);
}

static void expect_refusal(const char *xml, const char *message)
{
    struct ig_arena arena;
    struct ig_err err;
    assert_null(parse(xml, &arena, &err));
    if (!strstr(err.message, message)) fail_msg("'%s', expected '%s'", err.message, message);
    ig_arena_deinit(&arena);
}

static void test_refuses(void **state)
{
    (void)state;
    expect_refusal("", "line 1: no element found");
    expect_refusal("<a>", "line 1: no element found");
    expect_refusal("<a>\n</b>", "line 2: mismatched tag");
    expect_refusal("<a/><b/>", "junk after document element");
    expect_refusal("<a>&unknown;</a>", "undefined entity");
    expect_refusal("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "DOCTYPE) is not supported");
    expect_refusal("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "DOCTYPE) is not supported");
}

static void test_caps(void **state)
{
    enum { DEEP = 5000, LONG = 70000 };
    struct ig_buf buf;
    (void)state;
    ig_buf_init(&buf, 1 << 20);
    for (int i = 0; i < DEEP; i++) ig_buf_add_cstr(&buf, "<a>");
    expect_refusal(buf.ptr, "elements nest deeper than 4096");
    ig_buf_reset(&buf);
    ig_buf_add_cstr(&buf, "<a>");
    for (int i = 0; i < LONG; i++) ig_buf_add_char(&buf, 'x');
    ig_buf_add_cstr(&buf, "</a>");
    expect_refusal(buf.ptr, "more than 65536 bytes of text");
    ig_buf_deinit(&buf);
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    const struct pmml_element *root = NULL;
    ig_arena_init(&arena, 256, 256);
    assert_int_equal(pmml_xml_parse(&root, IG_STR("<a><b/><b/><b/><b/></a>"), &arena, &err),
                     IG_NO_MEMORY);
    ig_arena_deinit(&arena);
    /* expat ends an empty element, even one that was refused */
    char wide[1024] = "<a x='";
    err = IG_ERR_INIT;
    memset(wide + 6, 'x', 600);
    memcpy(wide + 606, "'/>", 4);
    ig_arena_init(&arena, 256, 256);
    assert_int_equal(pmml_xml_parse(&root, ig_str_view(wide), &arena, &err), IG_NO_MEMORY);
    assert_string_equal(err.message, "line 1: the document exceeds its memory");
    ig_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_equality),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
