/* SPDX-License-Identifier: Apache-2.0 */
/* S3's replies as its API reference shows them, and what is none. */
#include "stores/s3_xml.h"

#include "base/mem.h"
#include "stores/temp_testing.h"

static bool write_down(void *context, const struct ig_s3_element *element)
{
    ig_buf_printf(context, "%.*s.%.*s=%.*s;", IG_STR_ARGS(element->parent),
                  IG_STR_ARGS(element->name), IG_STR_ARGS(element->text));
    return true;
}

static enum ig_code walk(struct ig_buf *out, const char *xml, struct ig_err *err)
{
    ig_buf_reset(out);
    return ig_s3_xml_walk(ig_str_view(xml), write_down, out, err);
}

static void test_elements(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf out;
    (void)state;
    ig_buf_init(&out, 1 << 16);
    ASSERT_OK(walk(&out,
                   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n"
                   "  <Code>NoSuchKey</Code>\n  <Message>It &amp; &#x41; is\n gone.</Message>\n"
                   "  <Empty/></Error>\n",
                   &err));
    assert_string_equal(
        out.ptr, "Error.Code=NoSuchKey;Error.Message=It & A is\n gone.;Error.Empty=;.Error=;");
    ASSERT_OK(walk(&out,
                   "<L xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><C><Key>a</Key><Owner>"
                   "<ID>i</ID></Owner></C></L>",
                   &err));
    assert_string_equal(out.ptr, "C.Key=a;Owner.ID=i;C.Owner=;L.C=;.L=;");
    ig_buf_deinit(&out);
}

static bool first_only(void *context, const struct ig_s3_element *element)
{
    (void)element;
    return ++*(int *)context < 1;
}

static void test_bounds(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf out, xml;
    int calls = 0;
    (void)state;
    ig_buf_init(&out, 1 << 20);
    ig_buf_init(&xml, 32 << 20);
    ASSERT_OK(ig_s3_xml_walk(IG_STR("<a><b/><c/>"), first_only, &calls, &err));
    assert_int_equal(calls, 1);
    ASSERT_FAILS(walk(&out, "", &err), IG_PARSE, "no element");
    ASSERT_FAILS(walk(&out, "<a><b></a>", &err), IG_PARSE, "mismatched");
    ASSERT_FAILS(walk(&out, "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", &err), IG_PARSE,
                 "document type");
    for (int i = 0; i < 17; i++) ig_buf_add_cstr(&xml, "<a>");
    ASSERT_FAILS(walk(&out, xml.ptr, &err), IG_TOO_LARGE, "too deep");
    ig_buf_reset(&xml);
    ig_buf_add_char(&xml, '<');
    for (int i = 0; i < 64; i++) ig_buf_add_char(&xml, 'n');
    ig_buf_add_cstr(&xml, "/>");
    ASSERT_FAILS(walk(&out, xml.ptr, &err), IG_TOO_LARGE, "too long");
    ig_buf_reset(&xml);
    ig_buf_add_cstr(&xml, "<a>");
    for (int i = 0; i < 8193; i++) ig_buf_add_char(&xml, 't');
    ig_buf_add_cstr(&xml, "</a>");
    ASSERT_FAILS(walk(&out, xml.ptr, &err), IG_TOO_LARGE, "text is too long");
    ig_buf_reset(&xml);
    ig_buf_add_cstr(&xml, "<a>");
    for (int i = 0; i < 200000; i++) ig_buf_add_cstr(&xml, "<b/>");
    ig_buf_add_cstr(&xml, "</a>");
    ASSERT_FAILS(ig_s3_xml_walk(ig_buf_view(&xml), write_down, &out, &err), IG_TOO_LARGE,
                 "too many");
    ig_buf_deinit(&out);
    ig_buf_deinit(&xml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
