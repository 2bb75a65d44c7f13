/** Images: recovery points presented as disks, read-only or writable (copy on write). */
package io.tidemark.image;
