/* The examples that AWS has published, with their signatures:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and sigv4-streaming.html */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "s3/sign.h"

#define HOST "examplebucket.s3.amazonaws.com"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct sign_keys keys = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};

struct example {
    const char *method, *path, *query, *hash;
    struct sign_pair headers[6];
    const char *signed_names, *signature;
};

static const struct example examples[] = {
    {"GET",
     "/test.txt",
     "",
     EMPTY,
     {{"range", "bytes=0-9"}, {"host", HOST}, {"x-amz-content-sha256", EMPTY}, {"x-amz-date", "20130524T000000Z"}},
     "host;range;x-amz-content-sha256;x-amz-date",
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"PUT",
     "/test%24file.text",
     "",
     "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
     {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
      {"host", HOST},
      {"x-amz-date", "20130524T000000Z"},
      {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
      {"x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"}},
     "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"GET",
     "/",
     "lifecycle=",
     EMPTY,
     {{"host", HOST}, {"x-amz-content-sha256", EMPTY}, {"x-amz-date", "20130524T000000Z"}},
     "host;x-amz-content-sha256;x-amz-date",
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"GET",
     "/",
     "max-keys=2&prefix=J",
     EMPTY,
     {{"host", HOST}, {"x-amz-content-sha256", EMPTY}, {"x-amz-date", "20130524T000000Z"}},
     "host;x-amz-content-sha256;x-amz-date",
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static size_t count(const struct sign_pair *pairs)
{
    size_t n = 0;
    while (n < 6 && pairs[n].name)
        n++;
    return n;
}

static void test_published_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        const struct example *x = &examples[i];
        struct sign_state signing;
        char found[1024], wanted[1024];
        struct sign_request r = {x->method,         x->path, x->query,           x->headers,
                                 count(x->headers), x->hash, "20130524T000000Z", "us-east-1"};
        assert_true(sign_request(&keys, &r, &signing, found, sizeof found));
        snprintf(wanted, sizeof wanted,
                 "AWS4-HMAC-SHA256 Credential=%s/20130524/us-east-1/s3/aws4_request,SignedHeaders=%s,Signature=%s",
                 keys.access_key, x->signed_names, x->signature);
        assert_string_equal(found, wanted);
    }
}

static void test_published_pieces(void **state)
{
    (void)state;
    static const struct sign_pair headers[] = {
        {"host", "s3.amazonaws.com"},
        {"x-amz-date", "20130524T000000Z"},
        {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
        {"x-amz-content-sha256", SIGN_STREAMING},
        {"content-encoding", "aws-chunked"},
        {"x-amz-decoded-content-length", "66560"},
        {"content-length", "66824"},
    };
    static const char *const signatures[] = {"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
                                             "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
                                             "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"};
    struct sign_request r = {
        "PUT", "/examplebucket/chunkObject.txt", "", headers, 7, SIGN_STREAMING, "20130524T000000Z", "us-east-1"};
    struct sign_state signing;
    char out[1024];
    char *content = malloc(66560);
    memset(content, 'a', 66560);
    assert_true(sign_request(&keys, &r, &signing, out, sizeof out));
    assert_string_equal(signing.signature, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
    static const size_t lengths[] = {65536, 1024, 0};
    for (size_t i = 0; i < 3; i++) {
        sign_piece(&signing, content, lengths[i]);
        assert_string_equal(signing.signature, signatures[i]);
    }
    free(content);
}

static void test_encoding(void **state)
{
    (void)state;
    char out[64];
    assert_true(sign_encode("a/b c~.-_+%\xc3\xa4", false, out, sizeof out));
    assert_string_equal(out, "a/b%20c~.-_%2B%25%C3%A4");
    assert_true(sign_encode("a/b=&", true, out, sizeof out));
    assert_string_equal(out, "a%2Fb%3D%26");
    assert_false(sign_encode("0123456789", false, out, 10));
}

static void test_queries_are_sorted_and_have_values(void **state)
{
    (void)state;
    static const struct sign_pair pairs[] = {
        {"uploadId", "a b/="}, {"partNumber", "10"}, {"uploads", NULL}, {"a-b", "2"}, {"a", "1"}};
    char out[128];
    assert_true(sign_query(pairs, 5, out, sizeof out));
    assert_string_equal(out, "a=1&a-b=2&partNumber=10&uploadId=a%20b%2F%3D&uploads=");
    assert_true(sign_query(pairs, 0, out, sizeof out));
    assert_string_equal(out, "");
    assert_false(sign_query(pairs, 5, out, 20));
}

static void test_md5(void **state)
{
    (void)state;
    uint8_t md5[SIGN_MD5];
    char text[SIGN_MD5_TEXT];
    sign_md5("", 0, md5);
    sign_md5_text(md5, text);
    assert_string_equal(text, "1B2M2Y8AsgTpgAmY7PhCfg==");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_requests),
        cmocka_unit_test(test_published_pieces),
        cmocka_unit_test(test_encoding),
        cmocka_unit_test(test_queries_are_sorted_and_have_values),
        cmocka_unit_test(test_md5),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
