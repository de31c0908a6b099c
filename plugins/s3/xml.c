#include "s3/xml.h"

#include <expat.h>
#include <stdbool.h>
#include <string.h>

#include "cofre/plugin.h"

#define PATH_SIZE 512
#define TEXT_SIZE 16384

struct reading {
    XML_Parser parser;
    const char *root;
    char path[PATH_SIZE];
    char text[TEXT_SIZE];
    size_t length;
    int32_t (*element)(void *, const char *, const char *, struct cofre_error *);
    void *context;
    struct cofre_error *error;
    int32_t result;
};

static void stop(struct reading *r, int32_t result)
{
    if (!r->result)
        r->result = result;
    XML_StopParser(r->parser, XML_FALSE);
}

static const char *local_name(const char *name)
{
    const char *colon = strrchr(name, ':');
    return colon ? colon + 1 : name;
}

static void on_start(void *context, const char *name, const char **attributes)
{
    (void)attributes;
    struct reading *r = context;
    size_t at = strlen(r->path), n = strlen(local_name(name));
    if (at == 0 && strcmp(local_name(name), r->root) != 0) {
        stop(r, cofre_fail(r->error, COFRE_E_RETRY, "the answer is a '%.40s' instead of a '%s'", local_name(name),
                           r->root));
        return;
    }
    if (at + n + 2 > sizeof r->path) {
        stop(r, cofre_fail(r->error, COFRE_E_INTEGRITY, "the answer is nested deeper than any of S3"));
        return;
    }
    if (at > 0)
        r->path[at++] = '/';
    memcpy(r->path + at, local_name(name), n + 1);
    r->length = 0;
}

static void on_text(void *context, const char *text, int length)
{
    struct reading *r = context;
    if (r->length + (size_t)length >= sizeof r->text) {
        stop(r, cofre_fail(r->error, COFRE_E_INTEGRITY, "the answer holds a text longer than any of S3"));
        return;
    }
    memcpy(r->text + r->length, text, (size_t)length);
    r->length += (size_t)length;
}

static void on_end(void *context, const char *name)
{
    (void)name;
    struct reading *r = context;
    char *text = r->text;
    while (r->length > 0 && strchr(" \t\r\n", r->text[r->length - 1]))
        r->length--;
    r->text[r->length] = '\0';
    text += strspn(text, " \t\r\n");
    int32_t result = r->element(r->context, r->path, text, r->error);
    char *last = strrchr(r->path, '/');
    *(last ? last : r->path) = '\0';
    r->length = 0;
    if (result)
        stop(r, result);
}

static void on_doctype(void *context, const char *name, const char *system, const char *public, int internal)
{
    (void)name;
    (void)system;
    (void)public;
    (void)internal;
    struct reading *r = context;
    stop(r, cofre_fail(r->error, COFRE_E_INTEGRITY, "the answer declares a document type, which S3 never does"));
}

int32_t xml_read(const char *p, size_t n, const char *root,
                 int32_t (*element)(void *, const char *, const char *, struct cofre_error *), void *context,
                 struct cofre_error *error)
{
    struct reading r = {.root = root, .element = element, .context = context, .error = error};
    r.parser = XML_ParserCreate(NULL);
    if (!r.parser)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    bool whole = n < INT32_MAX && XML_Parse(r.parser, p, (int)n, 1) == XML_STATUS_OK;
    if (!whole && !r.result)
        r.result =
            cofre_fail(error, COFRE_E_RETRY, "the answer is no XML: %s", XML_ErrorString(XML_GetErrorCode(r.parser)));
    XML_ParserFree(r.parser);
    return r.result;
}
