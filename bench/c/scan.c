/* vectorscan as a filter: which lines match any of the patterns. Usage: scan PATTERNS LINES
   Prints one line of JSON: megabytes per CPU second and the number of lines that matched. */
#include <hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int stop(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *hit) {
    (void)id; (void)from; (void)to; (void)flags;
    *(int *)hit = 1;
    return 1;
}

static char *slurp(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) exit(1);
    *size = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(*size + 1);
    if (!text || fread(text, 1, *size, file) != *size) exit(1);
    text[*size] = 0;
    fclose(file);
    return text;
}

int main(int argc, char **argv) {
    if (argc != 3) return 3;
    size_t size;
    const char *patterns[64];
    unsigned flags[64], ids[64], count = 0;
    for (char *p = strtok(slurp(argv[1], &size), "\n"); p && count < 64; p = strtok(NULL, "\n")) {
        patterns[count] = p;
        flags[count] = HS_FLAG_SINGLEMATCH;
        ids[count] = count;
        count++;
    }
    hs_database_t *database;
    hs_compile_error_t *error;
    hs_scratch_t *scratch = NULL;
    if (hs_compile_multi(patterns, flags, ids, count, HS_MODE_BLOCK, NULL, &database, &error)) {
        fprintf(stderr, "%s (pattern %d)\n", error->message, error->expression);
        return 1;
    }
    if (hs_alloc_scratch(database, &scratch)) return 1;
    char *text = slurp(argv[2], &size);
    long matched = 0;
    clock_t before = clock();
    for (char *line = text, *end; line < text + size; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + size - line));
        if (!end) end = text + size;
        int hit = 0;
        hs_scan(database, line, (unsigned)(end - line), 0, scratch, stop, &hit);
        matched += hit;
    }
    double seconds = (double)(clock() - before) / CLOCKS_PER_SEC;
    printf("{\"mb_per_second\":%f,\"replaced\":%ld}\n", (double)size / seconds / 1e6, matched);
    return 0;
}
