/** Export of recovery points to files: raw and qcow2. */
package io.tidemark.export;
