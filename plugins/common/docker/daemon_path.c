#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/docker/daemon_inside.h"
#include "common/failure.h"

/* Everything but what RFC 3986 calls unreserved. */
static void write_escaped(FILE *to, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text; text++)
        if (strchr(plain, *text))
            fputc(*text, to);
        else
            fprintf(to, "%%%02X", (unsigned char)*text);
}

/* The daemon takes escapes out before it looks for its routes, and cleans what it gets: a segment that is empty, or
 * goes up, would be another request. */
static bool is_segment(const char *text)
{
    for (;;) {
        size_t n = strcspn(text, "/");
        if (n == 0 || (n == 1 && text[0] == '.') || (n == 2 && text[0] == '.' && text[1] == '.'))
            return false;
        if (text[n] == '\0')
            return true;
        text += n + 1;
    }
}

static bool write_path(FILE *to, const struct daemon_request *request, const char **wrong)
{
    const char *const *segment = request->segments;
    for (const char *p = request->path; *p; p++) {
        if (p[0] != '%' || p[1] != 's') {
            fputc(*p, to);
            continue;
        }
        *wrong = segment && *segment ? *segment++ : "";
        if (!is_segment(*wrong))
            return false;
        write_escaped(to, *wrong);
        p++;
    }
    return true;
}

static void write_query(FILE *to, const char *const *query)
{
    char before = '?';
    for (; query && query[0] && query[1]; query += 2) {
        fputc(before, to);
        write_escaped(to, query[0]);
        fputc('=', to);
        write_escaped(to, query[1]);
        before = '&';
    }
}

int32_t daemon_path_url(const struct daemon *daemon, const struct daemon_request *request, char **url,
                        struct cofre_error *error)
{
    char shown[FAILURE_QUOTE_MAX];
    const char *wrong = NULL;
    size_t length = 0;
    *url = NULL;
    FILE *to = open_memstream(url, &length);
    if (!to)
        return daemon_refusal_say(daemon, request->what, error, COFRE_E_MEMORY, "out of memory");
    fprintf(to, "%s%s", daemon->address.base, daemon->api);
    bool fine = write_path(to, request, &wrong);
    write_query(to, request->query);
    bool failed = ferror(to) != 0;
    if (fclose(to) != 0 || failed || !fine || length > DAEMON_URL_MAX) {
        free(*url);
        *url = NULL;
        if (!fine)
            return daemon_refusal_say(daemon, request->what, error, COFRE_E_NOT_FOUND, "'%.100s' is no name there",
                                      failure_quote(wrong, strlen(wrong), shown));
        return daemon_refusal_say(daemon, request->what, error,
                                  length > DAEMON_URL_MAX ? COFRE_E_PERMANENT : COFRE_E_MEMORY,
                                  length > DAEMON_URL_MAX ? "the request is too long" : "out of memory");
    }
    return COFRE_OK;
}
