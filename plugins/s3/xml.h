/* The small XML answers of S3, read with expat: elements as they end, with their path and their text. */
#ifndef COFRE_S3_XML_H
#define COFRE_S3_XML_H

#include <stddef.h>
#include <stdint.h>

#include <cofre/plugin.h>

/* element is called at the end of each, innermost first: path "ListBucketResult/Contents/Key" without namespaces, text
 * without blanks around it ("" for one that holds others). Returns COFRE_OK, or a class with *error filled.
 *
 * root: what the outermost element must be. The error of an answer that is no XML is COFRE_E_RETRY, since it is most
 * often a proxy's page; one with a document type, or deeper or larger than any answer of S3: COFRE_E_INTEGRITY. */
int32_t xml_read(const char *p, size_t n, const char *root,
                 int32_t (*element)(void *context, const char *path, const char *text, struct cofre_error *error),
                 void *context, struct cofre_error *error);

#endif
