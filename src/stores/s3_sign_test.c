/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures against AWS's test suite of version 4 (aws-sig-v4-test-suite), those of its cases that
 * hold for S3, the examples in the API reference of Amazon S3, and botocore 1.44.8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "stores/s3_sign.h"

#include <stdio.h>
#include <string.h>

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define FORM "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"
#define WELCOME "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
#define SUITE_HEADERS "Host:example.amazonaws.com\nX-Amz-Date:20150830T123600Z"
#define S3_HEADERS(hash)                                                                           \
    "Host:examplebucket.s3.amazonaws.com\nx-amz-date:20130524T000000Z\nx-amz-content-sha256:" hash
#define ALL "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define SUITE_TOKEN                                                                                \
    "AQoDYXdzEPT//////////"                                                                        \
    "wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwth" \
    "Ax7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFv" \
    "lRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+"                             \
    "scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

enum whose { SUITE, S3 };

static const struct {
    const char *name;
    enum whose whose;
    const char *method, *path, *query, *headers, *payload_hash;
    const char *names, *signature;
} cases[] = {
    {"get-vanilla", SUITE, "GET", "/", "", SUITE_HEADERS, EMPTY, "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-empty-query-key", SUITE, "GET", "/", "Param1=value1", SUITE_HEADERS, EMPTY,
     "host;x-amz-date", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"get-vanilla-query-order-key-case", SUITE, "GET", "/", "Param2=value2&Param1=value1",
     SUITE_HEADERS, EMPTY, "host;x-amz-date",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-vanilla-query-order-key", SUITE, "GET", "/", "Param1=value2&Param1=Value1", SUITE_HEADERS,
     EMPTY, "host;x-amz-date", "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"},
    {"get-vanilla-query-order-value", SUITE, "GET", "/", "Param1=value2&Param1=value1",
     SUITE_HEADERS, EMPTY, "host;x-amz-date",
     "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
    {"get-vanilla-query-order-encoded", SUITE, "GET", "/",
     "Param-3=Value3&Param=Value2&\u1234=Value1", SUITE_HEADERS, EMPTY, "host;x-amz-date",
     "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
    {"get-vanilla-query-unreserved", SUITE, "GET", "/", ALL "=" ALL, SUITE_HEADERS, EMPTY,
     "host;x-amz-date", "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-vanilla-utf8-query", SUITE, "GET", "/", "\u1234=bar", SUITE_HEADERS, EMPTY,
     "host;x-amz-date", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"get-unreserved", SUITE, "GET", "/" ALL, "", SUITE_HEADERS, EMPTY, "host;x-amz-date",
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-utf8", SUITE, "GET", "/%E1%88%B4", "", SUITE_HEADERS, EMPTY, "host;x-amz-date",
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-space", SUITE, "GET", "/example%20space/", "", SUITE_HEADERS, EMPTY, "host;x-amz-date",
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"get-special-character", SUITE, "GET", "/example/%24delete", "", SUITE_HEADERS, EMPTY,
     "host;x-amz-date", "a853c9b21b528b19643d00910d35b83a10c366a10833ceefb45edd6c80e40f27"},
    {"get-header-key-duplicate", SUITE, "GET", "/", "",
     "Host:example.amazonaws.com\nMy-Header1:value2\nMy-Header1:value2\nMy-Header1:value1\n"
     "X-Amz-Date:20150830T123600Z",
     EMPTY, "host;my-header1;x-amz-date",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"get-header-value-multiline", SUITE, "GET", "/", "",
     SUITE_HEADERS "\nMy-Header1:value1   value2      value3", EMPTY, "host;my-header1;x-amz-date",
     "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd"},
    {"get-header-value-order", SUITE, "GET", "/", "",
     "My-Header1:value4\nMy-Header1:value1\nMy-Header1:value3\nMy-Header1:value2\n" SUITE_HEADERS,
     EMPTY, "host;my-header1;x-amz-date",
     "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
    {"get-header-value-trim", SUITE, "GET", "/", "",
     "My-Header2: \"a   b   c\" \nMy-Header1: value1\n" SUITE_HEADERS, EMPTY,
     "host;my-header1;my-header2;x-amz-date",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"post-vanilla", SUITE, "POST", "/", "", SUITE_HEADERS, EMPTY, "host;x-amz-date",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-vanilla-query", SUITE, "POST", "/", "Param1=value1", SUITE_HEADERS, EMPTY,
     "host;x-amz-date", "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
    {"post-header-key-sort", SUITE, "POST", "/", "", SUITE_HEADERS "\nMy-Header1:value1", EMPTY,
     "host;my-header1;x-amz-date",
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"post-header-value-case", SUITE, "POST", "/", "", SUITE_HEADERS "\nMy-Header1:VALUE1", EMPTY,
     "host;my-header1;x-amz-date",
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {"post-x-www-form-urlencoded", SUITE, "POST", "/", "",
     SUITE_HEADERS "\nContent-Type:application/x-www-form-urlencoded", FORM,
     "content-type;host;x-amz-date",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    {"post-x-www-form-urlencoded-parameters", SUITE, "POST", "/", "",
     SUITE_HEADERS "\nContent-Type:application/x-www-form-urlencoded; charset=utf8", FORM,
     "content-type;host;x-amz-date",
     "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
    {"post-sts-header-before", SUITE, "POST", "/", "",
     SUITE_HEADERS "\nX-Amz-Security-Token:" SUITE_TOKEN, EMPTY,
     "host;x-amz-date;x-amz-security-token",
     "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
    {"S3: GET Object", S3, "GET", "/test.txt", "", S3_HEADERS(EMPTY) "\nRange:bytes=0-9", EMPTY,
     "host;range;x-amz-content-sha256;x-amz-date",
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"S3: PUT Object", S3, "PUT", "/test%24file.text", "",
     S3_HEADERS(WELCOME) "\nDate:Fri, 24 May 2013 00:00:00 GMT\n"
                         "x-amz-storage-class:REDUCED_REDUNDANCY",
     WELCOME, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"S3: GET Bucket Lifecycle", S3, "GET", "/", "lifecycle=", S3_HEADERS(EMPTY), EMPTY,
     "host;x-amz-content-sha256;x-amz-date",
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"S3: GET Bucket (List Objects)", S3, "GET", "/", "max-keys=2&prefix=J", S3_HEADERS(EMPTY),
     EMPTY, "host;x-amz-content-sha256;x-amz-date",
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
    {"botocore: path style, a session", S3, "GET", "/bucket/p%20q/%C3%BC", "list-type=2&b=&a=%",
     "x-amz-security-token:T/o+k=en\nx-amz-content-sha256:" EMPTY
     "\nHost:127.0.0.1:9000\nx-amz-date:20130524T000000Z",
     EMPTY, "host;x-amz-content-sha256;x-amz-date;x-amz-security-token",
     "7928ba62208e3a281e0c0c9e9c5bcfa69bb37067f2e60ca3327a287ae817c3d2"},
};

/* "a<cut>b", one a line or between '&'. */
static size_t read_pairs(struct ig_s3_pair *out, const char *text, char between, char cut)
{
    struct ig_str rest = ig_str_view(text);
    size_t count = 0;
    while (rest.ptr && rest.len) {
        struct ig_str value = ig_str_cut(&rest, between);
        assert_true(count < IG_S3_PAIRS_MAX);
        out[count].name = ig_str_cut(&value, cut);
        out[count++].value = value;
    }
    return count;
}

static struct ig_s3_signer signer_of(enum whose whose)
{
    struct ig_s3_signer signer = {.region = IG_STR("us-east-1")};
    bool suite = whose == SUITE;
    signer.access_key = suite ? IG_STR("AKIDEXAMPLE") : IG_STR("AKIAIOSFODNN7EXAMPLE");
    signer.secret_key = suite ? IG_STR("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
                              : IG_STR("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    signer.service = suite ? IG_STR("service") : IG_STR("s3");
    signer.time = suite ? IG_STR("20150830T123600Z") : IG_STR("20130524T000000Z");
    return signer;
}

static struct ig_s3_request request_of(size_t i, struct ig_s3_pair *query,
                                       struct ig_s3_pair *headers)
{
    return (struct ig_s3_request){.method = ig_str_view(cases[i].method),
                                  .path = ig_str_view(cases[i].path),
                                  .query = query,
                                  .query_count = read_pairs(query, cases[i].query, '&', '='),
                                  .headers = headers,
                                  .headers_count = read_pairs(headers, cases[i].headers, '\n', ':'),
                                  .payload_hash = ig_str_view(cases[i].payload_hash)};
}

static void test_published_vectors(void **state)
{
    struct ig_s3_pair query[IG_S3_PAIRS_MAX], headers[IG_S3_PAIRS_MAX];
    struct ig_buf out;
    char expected[512];
    (void)state;
    ig_buf_init(&out, 1 << 16);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_s3_signer signer = signer_of(cases[i].whose);
        struct ig_s3_request request = request_of(i, query, headers);
        snprintf(expected, sizeof expected,
                 "AWS4-HMAC-SHA256 Credential=%.*s/%.8s/us-east-1/%.*s/aws4_request,"
                 "SignedHeaders=%s,Signature=%s",
                 IG_STR_ARGS(signer.access_key), signer.time.ptr, IG_STR_ARGS(signer.service),
                 cases[i].names, cases[i].signature);
        ig_buf_reset(&out);
        ig_s3_authorize(&out, &request, &signer);
        if (strcmp(out.ptr, expected) != 0)
            fail_msg("%s: %s, expected %s", cases[i].name, out.ptr, expected);
    }
    ig_buf_deinit(&out);
}

static void test_canonical_request(void **state)
{
    const struct ig_s3_pair query[] = {{IG_STR("prefix"), IG_STR("J")},
                                       {IG_STR("max-keys"), IG_STR("2")}};
    const struct ig_s3_pair headers[] = {
        {IG_STR("X-Amz-Date"), IG_STR("20130524T000000Z")},
        {IG_STR("x-amz-content-sha256"), IG_STR(EMPTY)},
        {IG_STR("Host"), IG_STR("examplebucket.s3.amazonaws.com")}};
    const struct ig_s3_request request = {IG_STR("GET"), IG_STR("/"), query,        2,
                                          headers,       3,           IG_STR(EMPTY)};
    struct ig_s3_signer signer = signer_of(S3);
    struct ig_buf out;
    (void)state;
    ig_buf_init(&out, 1 << 16);
    ig_s3_canonical(&out, &request);
    assert_string_equal(out.ptr, "GET\n/\nmax-keys=2&prefix=J\n"
                                 "host:examplebucket.s3.amazonaws.com\n"
                                 "x-amz-content-sha256:" EMPTY "\nx-amz-date:20130524T000000Z\n\n"
                                 "host;x-amz-content-sha256;x-amz-date\n" EMPTY);
    ig_buf_reset(&out);
    ig_s3_string_to_sign(&out, &request, &signer);
    assert_string_equal(out.ptr,
                        "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"
                        "df57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7");
    ig_buf_deinit(&out);
}

static void test_presigned(void **state)
{
    const struct ig_s3_pair host[] = {{IG_STR("Host"), IG_STR("examplebucket.s3.amazonaws.com")}};
    const struct ig_s3_pair part[] = {{IG_STR("uploadId"), IG_STR("x+y=")},
                                      {IG_STR("partNumber"), IG_STR("3")}};
    struct ig_s3_request request = {.method = IG_STR("GET"),
                                    .path = IG_STR("/test.txt"),
                                    .headers = host,
                                    .headers_count = 1,
                                    .payload_hash = IG_STR(IG_S3_UNSIGNED)};
    struct ig_s3_signer signer = signer_of(S3);
    struct ig_buf out;
    (void)state;
    ig_buf_init(&out, 1 << 16);
    ig_s3_presign(&out, &request, &signer, 86400); /* the API reference's example */
    assert_string_equal(
        out.ptr,
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&"
        "X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&"
        "X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&"
        "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    request.method = IG_STR("PUT"); /* botocore, which sorts for the signature alone */
    request.path = IG_STR("/a/b%20c~.bin");
    request.query = part;
    request.query_count = 2;
    signer.token = IG_STR("T/o+k=en");
    ig_buf_reset(&out);
    ig_s3_presign(&out, &request, &signer, 60);
    assert_non_null(strstr(out.ptr, "partNumber=3&uploadId=x%2By%3D&X-Amz-Signature="));
    assert_non_null(strstr(out.ptr, "&X-Amz-Security-Token=T%2Fo%2Bk%3Den&"));
    assert_non_null(
        strstr(out.ptr, "d86ed8f790faa06f93f2373700c1368eeca7d87c9dfdbc62ba70b3237d40ded5"));
    ig_buf_deinit(&out);
}

static void test_bounds(void **state)
{
    struct ig_s3_pair query[IG_S3_PAIRS_MAX], headers[IG_S3_PAIRS_MAX];
    struct ig_s3_signer signer = signer_of(S3);
    struct ig_s3_request request = request_of(sizeof cases / sizeof cases[0] - 1, query, headers);
    struct ig_buf out;
    (void)state;
    ig_buf_init(&out, 1 << 16);
    ig_s3_authorize(&out, &request, &signer);
    size_t whole = out.len;
    ig_buf_deinit(&out);
    for (size_t max = 0; max < whole + 20; max += 7) { /* none is cut in silence */
        ig_buf_init(&out, max);
        ig_s3_authorize(&out, &request, &signer);
        assert_int_equal(out.overflowed, max < whole);
        ig_buf_deinit(&out);
    }
    for (uint64_t n = 1;; n++) {
        ig_buf_init(&out, 1 << 16);
        ig_mem_fail_after(n);
        ig_s3_authorize(&out, &request, &signer);
        bool refused = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_int_equal(out.overflowed, refused);
        ig_buf_deinit(&out);
        if (!refused) break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_vectors),
        cmocka_unit_test(test_canonical_request),
        cmocka_unit_test(test_presigned),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
