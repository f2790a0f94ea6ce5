// SPDX-License-Identifier: Apache-2.0
#include "base/resident.h"

#include <elf.h>
#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#define GIVE_BACK_FROM (256 << 10)

/* Relocations in code (DT_TEXTREL) make private copies of its pages, which must not be dropped. */
static bool relocates_code(const struct dl_phdr_info *info)
{
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];

		if (h->p_type != PT_DYNAMIC)
			continue;
		for (const ElfW(Dyn) *d = (const void *)(info->dlpi_addr + h->p_vaddr); d->d_tag != DT_NULL; d++)
			if (d->d_tag == DT_TEXTREL || (d->d_tag == DT_FLAGS && d->d_un.d_val & DF_TEXTREL))
				return true;
	}
	return false;
}

/* Segments that are never written are pages of the file: dropped, they are read from it again. RELRO is in a writable one. */
static int trim_object(struct dl_phdr_info *info, size_t size, void *page_size)
{
	size_t page = *(const size_t *)page_size;

	(void)size;
	if (!*info->dlpi_name && info->dlpi_addr == 0)
		return 0; /* not position-independent: another build than ours */
	if (relocates_code(info))
		return 0;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		size_t start = (info->dlpi_addr + h->p_vaddr) & ~(page - 1);
		size_t end = info->dlpi_addr + h->p_vaddr + h->p_filesz;

		if (h->p_type == PT_LOAD && !(h->p_flags & PF_W))
			(void)madvise((void *)start, end - start, MADV_DONTNEED); /* the vdso refuses */
	}
	return 0;
}

void resident_trim(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	(void)malloc_trim(0);
	(void)dl_iterate_phdr(trim_object, &page);
}

void resident_give_back(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, GIVE_BACK_FROM);
	(void)mallopt(M_TRIM_THRESHOLD, GIVE_BACK_FROM);
}
