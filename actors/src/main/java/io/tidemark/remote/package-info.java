/**
 * The sites of one cluster as seen from one of them: which others there are, whether they can be
 * reached, and commands that one site asks of another. Each site is an Akka data center with its
 * own shards, journal and Cassandra; nothing else of it is shared.
 *
 * <pre>
 *   RemoteSites.ask --SiteRequest--> SiteGateway of a node of that site --> its handler
 *        ^------------SiteReply (answer or refusal)--------------------------'
 *   SiteWatch --Describe--> every node of every site, over and over
 * </pre>
 *
 * <p>To add a command: a sealed family of records that implement {@link
 * io.tidemark.remote.SiteCommand} and {@link io.tidemark.remote.SiteAnswer}, each with a
 * {@code @JsonTypeName}; list the family under {@code tidemark.serialization.types}; have each node
 * {@link io.tidemark.remote.RemoteSites#serve} it; add its bytes to the golden files.
 *
 * <p>Invariants:
 *
 * <ol>
 *   <li>R1 A command is sent at most once. What was not sent says so; what was sent and not
 *       answered says that it may have been carried out.
 *   <li>R2 A node that does not know a command answers that, and a code that the asking node does
 *       not know becomes {@code FAILED} with the code in its sentence: sites may differ in version.
 *   <li>R3 Every question ends within its time limit, whatever became of the other site.
 *   <li>R4 No site waits for another: one that is gone stops neither joins, shards, health nor
 *       shutdown of the others.
 * </ol>
 */
package io.tidemark.remote;
