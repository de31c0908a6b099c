/* Runs a fuzz target over files, without libFuzzer: driver FILE|DIRECTORY... Fails when there is nothing to run. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat st;
    if (!file || stat(path, &st)) {
        perror(path);
        exit(1);
    }
    size_t size = (size_t)st.st_size;
    /* malloc of the exact size, so that a sanitizer sees a read beyond the end; also of size 0. */
    uint8_t *data = malloc(size ? size : 1);
    if (!data || fread(data, 1, size, file) != size) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

static int run(const char *path)
{
    DIR *list = opendir(path);
    if (!list)
        return run_file(path);
    int count = 0;
    struct dirent *entry;
    while ((entry = readdir(list))) {
        char child[4096];
        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(child, sizeof child, "%s/%s", path, entry->d_name) < (int)sizeof child)
            count += run(child);
    }
    closedir(list);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++)
        count += run(argv[i]);
    printf("%d inputs\n", count);
    return count ? 0 : 1;
}
