/* One transfer through libcurl: watched for cancellation and time, and its failure in words that hold no secret. */
#ifndef COFRE_COMMON_CURL_TRANSFER_H
#define COFRE_COMMON_CURL_TRANSFER_H

#include <stdbool.h>

#include <curl/curl.h>

#include "cofre/plugin.h"

/* Does libcurl start? Once before any other use. */
int32_t transfer_start(struct cofre_error *error);

/* A handle with what all transfers have; NULL = out of memory. curl_easy_cleanup. */
CURL *transfer_handle(const char *ca_file);

/* Run it. COFRE_OK: it has ended, or enough(context), asked about once a second, said so: then *code is CURLE_OK.
 * enough: NULL = never. */
int32_t transfer_run(struct cofre_call *call, CURL *easy, bool (*enough)(void *context), void *context, CURLcode *code,
                     struct cofre_error *error);

/* A code that is not CURLE_OK as an error: neither the address nor anything that the other side said is in it. what:
 * "send the mail". */
int32_t transfer_fail(CURLcode code, const char *what, struct cofre_error *error);

#endif
